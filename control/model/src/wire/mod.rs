//! What members say to each other, one file per conversation.

pub mod echo;
pub mod join;
pub mod sync;
