//! Rule 11, and when snapshots are made.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_not_continued() {
    let limit = 7 * DAY * 4 / 5;
    for (away, fits) in [(limit, true), (limit + Duration::from_secs(1), false)] {
        let world = World::new().await;
        world.append(eventful());
        let keeper = world.snapshot().await;
        let mut standby = world.replayed(&keeper).await;
        world.append([note(3, "a", "after")]);
        world.clock.pass(away);

        // A node that was away for so long, by its memory.
        let caught_up = standby.catch_up(None, |_, _, _| ()).await;
        match caught_up {
            Ok(()) => assert!(fits),
            Err(error) => assert!(
                matches!(error, ReplayError::TooOld { .. }) && !fits,
                "{error}"
            ),
        }
        assert_eq!(
            standby.memory().applied() == 10,
            fits,
            "nothing of the tail is taken in"
        );
        // One that starts, by its snapshot: at once, and if it gets too old before it is read.
        assert_eq!(world.restored(&keeper).await.is_some(), fits);
        assert_eq!(world.kept_bytes().is_some(), fits);
        assert_eq!(world.keeper(retention(), 7).kept().is_some(), fits);
    }
}

/// A snapshot that is loaded just in time, and continued too late.
#[tokio::test(start_paused = true)]
async fn a_long_way_to_the_end_makes_it_too_old() {
    let world = World::new().await;
    world.append(eventful());
    let keeper = world.snapshot().await;
    world.clock.pass(5 * DAY);
    let mut restored = world.restored(&keeper).await.unwrap();
    world.clock.pass(DAY);
    let caught_up = restored.catch_up(None, |_, _, _| ()).await;
    assert!(matches!(caught_up, Err(ReplayError::TooOld { .. })));
}

/// An owner that hears nothing but its own acknowledgements is up to date as of when it sent what was acknowledged.
#[tokio::test(start_paused = true)]
async fn an_owner_is_as_current_as_what_it_sent() {
    let world = World::new().await;
    let keeper = world.keeper(retention(), 7);
    let mut replica = world.replayed(&keeper).await;
    world.clock.pass(5 * DAY);
    let sent = replica.moment();
    world.clock.pass(5 * DAY);
    replica.is_current_as_of(sent);
    replica.catch_up(None, |_, _, _| ()).await.unwrap();
    world.clock.pass(6 * DAY);
    let caught_up = replica.catch_up(None, |_, _, _| ()).await;
    assert!(matches!(caught_up, Err(ReplayError::TooOld { .. })));
}

#[tokio::test(start_paused = true)]
async fn one_is_made_when_it_is_worth_while() {
    let world = World::new().await;
    let (clock, depot) = (Arc::new(world.clock.clone()), Arc::new(world.depot.clone()));
    let common = Snapshots::new(clock, Some(depot), 100);
    let metrics = Metrics::new().partition(&partition());
    let keeper = Keeper::new(common, partition(), retention(), 7, None, metrics);
    // At the start, and after one at 1000.
    for (at, rows) in [
        (
            0,
            [
                (99, 0, false),
                (100, 200, true),
                (100, 201, true),
                (100, 202, false),
            ],
        ),
        (
            1000,
            [
                (1099, 0, false),
                (1100, 0, true),
                (1500, 1000, true),
                (1499, 1000, false),
            ],
        ),
    ] {
        keeper.tried.store(at, Ordering::Release);
        for (next, keys, due) in rows {
            assert_eq!(keeper.is_due(next, keys), due, "{next} {keys}");
        }
    }
    assert!(keeper.is_due_at_the_end(1100) && !keeper.is_due_at_the_end(1099));
    keeper.set_kept(Kept {
        last: None,
        position: 2000,
        current: world.clock.now(),
        bytes: 1,
    });
    assert!(!keeper.is_due(2099, 0) && keeper.is_due(2100, 0));
    // One of which nothing comes is renewed before it is too old; one that could not be written, a minute later.
    world.clock.pass(DAY);
    assert!(!keeper.is_due(2000, 0));
    world.clock.pass(DAY);
    assert!(keeper.is_due(2000, 0));
    keeper
        .tried_ms
        .store(world.clock.now().since_boot_ms, Ordering::Release);
    assert!(!keeper.is_due(2000, 0));
    world.clock.pass(Duration::from_secs(61));
    assert!(keeper.is_due(2000, 0));
}
