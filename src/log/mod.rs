//! What training shows: pictures of what a network sees, learned and took for something else.

pub mod picture;
