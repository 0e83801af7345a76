//! The events of a run: receives random numbers, hands on orders of every kind, and says of each
//! what must have become of it in the end.

use nexus_plugin_api::{Contract, Event, Priority};
use probe::{Order, Parcel};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

/// How often the hub tries again; the run's configuration says so.
pub(super) const MAX_RETRIES: u32 = 3;

/// A delay that no run lasts for.
const FAR_MS: u64 = 3_600_000;

const LANES: u32 = 12;

/// How an event must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Processed,
    Dead,
    /// Something of it is due long after the run.
    Pending,
}

/// An event that was not sent yet.
pub(super) fn draw(rng: &mut SmallRng, producer: u32, number: usize) -> Event<Order> {
    let payload = order(rng, &format!("{producer}.{number}"));
    let mut event = Event::new(Order::TYPE, format!("producer-{producer}"), payload);
    let priorities = [
        Priority::Low,
        Priority::Normal,
        Priority::High,
        Priority::Critical,
    ];
    event.priority = *priorities.choose(rng).expect("four");
    // Lanes are shared among producers; without one, an event is in the lane of its source.
    let lane = rng.random_range(0..=LANES);
    event.partition_key = (lane < LANES).then(|| format!("lane-{lane}"));
    event
}

fn order(rng: &mut SmallRng, tag: &str) -> Order {
    let parcel = |number: usize| Parcel {
        tag: format!("{tag}.{number}"),
        ..Parcel::default()
    };
    let some = |count: usize| (0..count).map(parcel).collect::<Vec<_>>();
    let with = |parcels| Order {
        parcels,
        ..Order::default()
    };
    match rng.random_range(0..100) {
        0..35 => with(some(1)),
        35..45 => with(some(rng.random_range(2..=4))),
        // Nothing comes of it.
        45..50 => with(some(0)),
        // It fails, and goes well when it is tried again.
        50..60 => with(vec![
            Parcel {
                fail_times: rng.random_range(1..=2),
                ..parcel(0)
            },
            parcel(1),
        ]),
        // It never goes well.
        60..63 => with(vec![
            parcel(0),
            Parcel {
                fail_times: u32::MAX,
                ..parcel(1)
            },
        ]),
        63..68 => with(vec![
            Parcel {
                refuse: true,
                ..parcel(0)
            },
            parcel(1),
        ]),
        // Later, but within the run.
        68..78 => with(vec![
            parcel(0),
            Parcel {
                after_ms: Some(rng.random_range(1..400)),
                ..parcel(1)
            },
        ]),
        78..81 => with(vec![
            parcel(0),
            Parcel {
                after_ms: Some(FAR_MS),
                ..parcel(1)
            },
        ]),
        // Other events follow from it.
        81..89 => {
            let emitted = |order: usize| {
                vec![Parcel {
                    tag: format!("{tag}.e{order}"),
                    ..Parcel::default()
                }]
            };
            Order {
                orders: (0..rng.random_range(1..=3)).map(emitted).collect(),
                ..with(some(1))
            }
        }
        89..93 => Order {
            put_off_ms: Some(rng.random_range(1..200)),
            ..with(some(1))
        },
        93..97 => Order {
            keep: Some(format!("kept/{tag}")),
            ..with(some(1))
        },
        _ => Order {
            reject: true,
            keep: Some(format!("kept/{tag}")),
            ..with(some(1))
        },
    }
}

/// How the event of an order must end.
pub(super) fn end(order: &Order) -> End {
    let fails = |parcel: &Parcel| parcel.refuse || parcel.fail_times > MAX_RETRIES;
    if order.reject {
        End::Dead
    } else if order.parcels.iter().any(|parcel| !is_due(parcel)) {
        End::Pending
    } else if order.parcels.iter().any(fails) {
        End::Dead
    } else {
        End::Processed
    }
}

/// Whether a parcel of an order must have been delivered, or at least tried, by the end of a run.
pub(super) fn is_due(parcel: &Parcel) -> bool {
    parcel.after_ms.is_none_or(|after| after < FAR_MS)
}
