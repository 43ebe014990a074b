//! Histories in which the log loses its tail now and then (`ack(leader)`), and gives the offsets to other records.
//!
//! What was acknowledged may be lost then. Nothing may happen twice or be built upon what is lost, and all memories agree with the log afterwards.

use super::{snapshots::check_memory, *};

fn faults(seed: u64) -> Faults {
    Faults {
        replication_max: Duration::from_millis(30),
        tail_lost: 0.01,
        ..super::faults(seed)
    }
}

/// What happened.
#[derive(Default)]
struct Seen {
    acknowledged: usize,
    lost: usize,
    tails_lost: usize,
    memories_discarded: usize,
}

async fn run(seed: u64) -> (Vec<String>, Truth, Seen) {
    let mut random = fastrand::Rng::with_seed(seed);
    let sim = Sim::new(seed, faults(seed));
    sim.client().declare(&topic(1)).await.unwrap();
    let mut happened = Seen::default();
    let mut incarnation = 0;
    let mut next = || {
        incarnation += 1;
        start(&sim, incarnation)
    };
    let nodes: Nodes = Arc::new(Mutex::new((0..NODES).map(|_| next()).collect()));
    let mut clients = Vec::new();
    let end = Instant::now() + Duration::from_secs(30);
    let mut id = 0;
    while Instant::now() < end {
        for _ in 0..random.usize(0..6) {
            id += 1;
            let key = KEYS[random.usize(..KEYS.len())];
            clients.push(tokio::spawn(append(nodes.clone(), random.fork(), key, id)));
        }
        for node in nodes.lock().unwrap().iter_mut() {
            // One that finds its memory to show what is lost ends, and starts again with an empty one, as its tender has it.
            let discards = node.task.is_finished();
            if discards || random.f64() < 0.02 {
                happened.memories_discarded += usize::from(discards);
                let gone = std::mem::replace(node, next());
                gone.task.abort();
                sim.crash(&gone.client);
            }
        }
        sleep(Duration::from_millis(random.u64(1..400))).await;
    }
    let mut operations = Vec::new();
    for client in clients {
        operations.push(client.await.unwrap());
    }
    // Quiet: nothing is lost any more, and late writes have landed.
    sim.set_faults(Faults {
        replication_max: Duration::from_millis(30),
        compaction: None,
        ..Faults::none()
    });
    sleep(Duration::from_secs(60)).await;
    let mut wrong = Vec::new();
    // Each takes over once more, and has the truth then.
    for index in 0..NODES {
        let mut asked = Err(Refusal::Moved);
        for _ in 0..5 {
            let mailbox = {
                let mut nodes = nodes.lock().unwrap();
                if nodes[index].task.is_finished() {
                    nodes[index] = next();
                }
                nodes[index].mailbox.clone()
            };
            asked = mailbox.ask(Job::Fence).await;
            if asked.is_ok() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        if asked.is_err() {
            wrong.push(format!("node {index} does not serve again: {asked:?}"));
        }
        let memory = nodes.lock().unwrap()[index].memory.clone();
        sleep(Duration::from_secs(1)).await;
        let truth = truth(&sim.history(&partition()));
        wrong.extend(check_memory(index, &memory, &truth));
    }
    let truth = truth(&sim.history(&partition()));
    wrong.extend(check_replay(&sim, &truth).await);
    for operation in &operations {
        let applied = truth.applied.get(&operation.id).map_or(0, Vec::len);
        if applied > 1 {
            wrong.push(format!(
                "request {} took effect {applied} times",
                operation.id
            ));
        }
        happened.acknowledged += usize::from(operation.acknowledged);
        happened.lost += usize::from(operation.acknowledged && applied == 0);
    }
    happened.tails_lost = sim.tails_lost();
    for node in nodes.lock().unwrap().drain(..) {
        node.task.abort();
    }
    (wrong, truth, happened)
}

#[test]
fn a_lost_tail_doubles_nothing_and_all_memories_agree() {
    let seeds = fewer_seeds(100, 8);
    let mut all = Seen::default();
    for seed in seeds.clone() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (wrong, truth, happened) = runtime.block_on(run(seed));
        all.acknowledged += happened.acknowledged;
        all.lost += happened.lost;
        all.tails_lost += happened.tails_lost;
        all.memories_discarded += happened.memories_discarded;
        let wrong: Vec<_> = wrong.iter().chain(&truth.wrong).take(3).collect();
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
    let Seen {
        acknowledged,
        lost,
        tails_lost,
        memories_discarded,
    } = all;
    println!(
        "{acknowledged} acknowledged, {lost} of them lost with {tails_lost} tails, {memories_discarded} memories discarded"
    );
    // A simulation in which nothing was lost would show nothing.
    let seeds = count_of(&seeds);
    assert!(acknowledged > 50 * seeds && lost > seeds / 4);
    assert!(tails_lost > seeds && memories_discarded > seeds / 4);
    // What is acknowledged although it can't count is lost, too, and far more often than tails are.
    assert!(lost < tails_lost, "{lost} acknowledged writes are lost");
}
