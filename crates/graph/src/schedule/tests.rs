use super::*;

fn list(nodes: usize) -> ExecutionList {
    let mut list = ExecutionList::new();
    list.grow(nodes, nodes);
    (0..nodes).for_each(|n| list.admit(NodeIx(n as u32), false));
    list
}

fn wait(list: &mut ExecutionList, from: u32, to: u32) {
    let edge = list.connect(NodeIx(from), 0, NodeIx(to), 0, Use::Strong);
    list.block(edge);
}

fn schedule_all(list: &mut ExecutionList, nodes: u32) {
    (0..nodes).for_each(|n| list.schedule(NodeIx(n)));
    (0..nodes).for_each(|n| list.settle(NodeIx(n)));
}

#[test]
fn a_node_starts_when_all_it_waits_for_has_finished() {
    let mut list = list(3);
    wait(&mut list, 0, 2);
    wait(&mut list, 1, 2);
    schedule_all(&mut list, 3);
    assert_eq!(list.pop(), Some(NodeIx(0)));
    assert_eq!(list.pop(), Some(NodeIx(1)));
    list.complete(NodeIx(1));
    assert_eq!(list.pop(), None);
    list.complete(NodeIx(0));
    assert_eq!(list.pop(), Some(NodeIx(2)));
}

#[test]
fn two_edges_from_one_source_hold_their_reader_until_it_finished_once() {
    let mut list = list(2);
    wait(&mut list, 0, 1);
    wait(&mut list, 0, 1);
    schedule_all(&mut list, 2);
    assert_eq!(list.pop(), Some(NodeIx(0)));
    list.complete(NodeIx(0));
    assert_eq!(list.pop(), Some(NodeIx(1)));
}

#[test]
fn what_leads_to_a_node_that_shows_is_preferred() {
    let mut list = ExecutionList::new();
    list.grow(4, 4);
    [false, false, false, true].iter().enumerate().for_each(|(n, first)| list.admit(NodeIx(n as u32), *first));
    wait(&mut list, 1, 3);
    schedule_all(&mut list, 4);
    assert_eq!(list.pop(), Some(NodeIx(1)));
}

#[test]
fn removing_edges_in_any_order_keeps_both_lists_whole() {
    let mut list = list(4);
    for to in 1..4 {
        for input in 0..3 {
            list.connect(NodeIx(0), input, NodeIx(to), input, Use::Strong);
        }
    }
    while list.pop_input(NodeIx(2)).is_some() {}
    assert_eq!(list.outputs(NodeIx(0)).count(), 6);
    while list.pop_input(NodeIx(3)).is_some() {}
    while list.pop_input(NodeIx(1)).is_some() {}
    assert!(!list.is_wanted(NodeIx(0)));
}

#[test]
fn a_circle_is_found_behind_a_tail_that_only_leads_into_it() {
    let mut list = list(5);
    wait(&mut list, 1, 0);
    wait(&mut list, 2, 1);
    wait(&mut list, 3, 2);
    wait(&mut list, 1, 3);
    schedule_all(&mut list, 4);
    let mut cycle = list.cycle().unwrap_or_default();
    cycle.sort();
    assert_eq!(cycle, [NodeIx(1), NodeIx(2), NodeIx(3)]);
}

#[test]
fn a_self_link_is_a_circle_and_a_chain_is_none() {
    let mut circle = list(2);
    wait(&mut circle, 1, 1);
    schedule_all(&mut circle, 2);
    assert_eq!(circle.cycle(), Some(vec![NodeIx(1)]));
    let mut chain = list(2);
    wait(&mut chain, 0, 1);
    schedule_all(&mut chain, 2);
    assert_eq!(chain.cycle(), None);
}

#[test]
fn the_best_order_finishes_one_branch_before_it_begins_the_next() {
    let branch = |big: u64, read: Vec<usize>| SizedNode { bytes: big, reads: read, kept: false };
    let nodes =
        [branch(100, vec![]), branch(100, vec![]), branch(1, vec![0]), branch(1, vec![1]), branch(1, vec![2, 3])];
    let plan = optimal_order(&nodes);
    assert_eq!(plan.map(|p| p.peak), Some(102));
}
