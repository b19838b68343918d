//! The built `mesh` against a daemon of cardboard: what it sends, prints and exits with.

mod admin;
mod ages;
mod alice;
mod arguments;
mod audit;
mod daemon;
mod documents;
mod examples;
mod failures;
mod files;
mod interrupts;
mod inviting;
mod policy;
mod recover;
mod run;
mod signing;
mod sync;
mod terminals;
mod verbs;
