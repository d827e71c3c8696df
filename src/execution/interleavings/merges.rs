//! All ways to merge scripts, each step a turn of one of them.

/// Calls `play` with every merge of scripts that have `left` steps each: a list of whose step is next.
fn every_merge(left: &mut [usize], order: &mut Vec<usize>, play: &mut impl FnMut(&[usize])) {
    if left.iter().all(|left| *left == 0) {
        return play(order);
    }
    for who in 0..left.len() {
        if left[who] > 0 {
            left[who] -= 1;
            order.push(who);
            every_merge(left, order, play);
            order.pop();
            left[who] += 1;
        }
    }
}

/// Plays every merge of scripts that have so many steps each; how many there were.
pub(super) fn in_every_order(steps: &[usize], mut play: impl FnMut(&[usize])) -> usize {
    let mut count = 0;
    every_merge(&mut steps.to_vec(), &mut Vec::new(), &mut |order| {
        count += 1;
        play(order);
    });
    count
}
