//! What was once found, and what decoders are attacked with: `memgen_tests::fuzz` says more, and `tests/run` attacks for longer.

use memgen_tests::fuzz::{TARGETS, corpus, run};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// One after another: memory is counted for the whole process.
#[test]
fn what_was_found_stays_mended_and_chance_finds_nothing() {
    for (name, target) in TARGETS {
        let target = target();
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} is attacked with nothing");
        let mut read = 0;
        for (path, bytes) in &files {
            println!("{}", path.display());
            read += usize::from(run(&*target, bytes));
        }
        assert!(read > 0, "nothing in the corpus of {name} can be read");
        let seeds = 10 * target.chunk().min(100);
        let read = (0..seeds).filter(|seed| {
            println!("{name}: seed {seed}");
            run(&*target, &target.input(*seed))
        });
        let read = read.count() as u64;
        // Otherwise only the first look at the input would be under attack. Most messages are of strict types.
        assert!(
            read >= seeds / 25,
            "{name}: only {read} of {seeds} inputs could be read"
        );
    }
}
