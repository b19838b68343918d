//! meshd: the mesh daemon. Carries out what the cores decide, and decides nothing itself.

mod api;
mod daemon;
mod io;
mod pipeline;
mod state_dir;

fn main() {}
