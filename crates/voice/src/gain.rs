//! Gain control: a quiet and a loud speaker are heard alike.
