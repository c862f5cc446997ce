//! How much faster the sender's sample clock runs than ours.
