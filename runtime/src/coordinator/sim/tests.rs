use futures_util::FutureExt as _;

use super::*;
use crate::coordinator::Coordinator as _;
use crate::coordinator::conformance::{self, Faults, node};

const SESSION: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn conforms() {
    let sim = Sim::new(1, SESSION);
    conformance::suite(&|| Arc::new(Shared(sim.client()))).await;
}

/// Two members, of which the first can be cut off.
async fn two(sim: &Sim) -> (Shared, Shared) {
    let (a, b) = (Shared(sim.client()), Shared(sim.client()));
    a.join(node("a", 1)).await.expect("the name is free");
    b.join(node("b", 2)).await.expect("the name is free");
    (a, b)
}

fn faults<'s>(sim: &'s Sim, of: &'s Shared) -> Faults<'s> {
    let set = move |cut| {
        move || {
            sim.set_cut_off(&of.0, cut);
            std::future::ready(()).boxed()
        }
    };
    Faults {
        cut: Box::new(set(true)),
        mend: Box::new(set(false)),
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_loses_nothing() {
    let sim = Sim::new(2, SESSION);
    let (a, b) = two(&sim).await;
    conformance::outage(&a, &b, &faults(&sim, &a)).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_loses_its_session() {
    let sim = Sim::new(3, SESSION);
    let (a, b) = two(&sim).await;
    conformance::lost_session(&a, &b, "a", &faults(&sim, &a)).await;
}
