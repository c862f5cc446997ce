//! The media of one call: samples and datagrams in, datagrams and samples out.
