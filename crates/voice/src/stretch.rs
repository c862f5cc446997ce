//! Making speech a little shorter or longer without changing its pitch.
