//! Every interleaving of a few threads around the mailbox and the lanes. `cargo test -p kiln-exec --features shuttle lanes`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::{Lanes, Mailbox};
use crate::sync::{Arc, thread};

fn explore(test: impl Fn() + Send + Sync + 'static) {
    #[cfg(feature = "shuttle")]
    shuttle::check_random(test, 2000);
    #[cfg(not(feature = "shuttle"))]
    (0..50).for_each(|_| test());
}

#[test]
fn every_message_of_every_sender_arrives_once() {
    explore(|| {
        let mailbox: Arc<Mailbox<u32>> = Mailbox::new();
        let senders: Vec<_> = (0..3)
            .map(|n| {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || (0..2).for_each(|i| mailbox.send(n * 2 + i)))
            })
            .collect();
        let mut got: Vec<u32> = (0..6).map(|_| mailbox.take().expect("nobody knocks")).collect();
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3, 4, 5]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn a_knock_wakes_a_sleeper_also_when_it_comes_before_the_sleep() {
    explore(|| {
        let mailbox: Arc<Mailbox<u32>> = Mailbox::new();
        let waker = Arc::clone(&mailbox);
        let thread = thread::spawn(move || waker.ring());
        assert_eq!(mailbox.take(), None);
        thread.join().unwrap();
    });
}

#[test]
fn jobs_of_one_serial_lane_run_in_order_and_one_at_a_time() {
    explore(|| {
        let (lanes, mailbox) = (Lanes::default(), Mailbox::new());
        for n in 0..3_u32 {
            let mailbox = Arc::clone(&mailbox);
            lanes.serial(&"device".into(), Box::new(move || mailbox.send(n)));
        }
        assert_eq!([mailbox.take(), mailbox.take(), mailbox.take()], [Some(0), Some(1), Some(2)]);
    });
}

#[test]
fn an_abandoned_lane_is_replaced_and_its_job_still_reports() {
    explore(|| {
        let (lanes, mailbox) = (Lanes::default(), Mailbox::new());
        let first = Arc::clone(&mailbox);
        lanes.serial(&"device".into(), Box::new(move || first.send(1)));
        lanes.abandon();
        let second = Arc::clone(&mailbox);
        lanes.serial(&"device".into(), Box::new(move || second.send(2)));
        let mut got = [mailbox.take(), mailbox.take()];
        got.sort_unstable();
        assert_eq!(got, [Some(1), Some(2)]);
    });
}
