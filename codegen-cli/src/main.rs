//! The command `memgen`. All of it is in the library.

use memgen_cli::exit::Exit;

fn main() -> Exit {
    memgen_cli::cli::run()
}
