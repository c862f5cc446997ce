//! Files on their way: named scenarios, and random lives in which people send each other things.

use hallway_model::{TransferAct, TransferId, TransferPhase, TransferState};
use hallway_tests::sim::{Crash, Host, World, explore, ms, secs, swarm_with_files};

/// Two contacts, and a file of the first that the second has been offered.
fn offered(world: &mut World, bytes: u64) -> (Host, Host, TransferId) {
    let (a, b) = world.couple();
    world.offer(a, b, bytes);
    world.run_until(secs(5), |world| !world.parcels(b).is_empty());
    world.run_for(secs(1));
    let id = world.parcels(b)[0].id;
    (a, b, id)
}

/// The same, on its way.
fn running(world: &mut World, bytes: u64) -> (Host, Host, TransferId) {
    let (a, b, id) = offered(world, bytes);
    world.handle_parcel(b, id, TransferAct::Accept { to: None });
    world.run_until(secs(5), |world| {
        let runs = |host| is_at(world, host, id, TransferState::Running);
        runs(a) && runs(b)
    });
    (a, b, id)
}

fn is_at(world: &World, host: Host, id: TransferId, state: TransferState) -> bool {
    world.parcel_state(host, id) == Some(state)
}

fn one_of(world: &mut World, hosts: (Host, Host)) -> (Host, Host) {
    if world.chance(500_000) {
        hosts
    } else {
        (hosts.1, hosts.0)
    }
}

#[test]
fn whatever_happens_files_arrive_whole_or_both_know_why_not() {
    let test = "whatever_happens_files_arrive_whole_or_both_know_why_not";
    explore(test, 600, swarm_with_files);
}

#[test]
fn a_file_arrives_whatever_crashes_on_the_way() {
    explore("a_file_arrives_whatever_crashes_on_the_way", 100, |world| {
        let (a, b, id) = running(world, 30_000);
        for _ in 0..3 {
            let pause = world.between(ms(1), secs(1));
            world.run_for(pause);
            let (dies, _) = one_of(world, (a, b));
            let how = world.pick(&[Crash::Kill, Crash::Power]);
            world.crash(dies, how);
            let pause = world.between(ms(1), secs(5));
            world.run_for(pause);
            world.start(dies);
        }
        world.settle();
        for host in [a, b] {
            assert_eq!(world.parcels(host)[0].phase, TransferPhase::Done, "{id:?}");
        }
    });
}

#[test]
fn a_file_that_changes_arrives_in_its_last_state_or_fails() {
    explore(
        "a_file_that_changes_arrives_in_its_last_state_or_fails",
        100,
        |world| {
            let (a, b, id) = running(world, 20_000);
            let changes = world.range(1..4);
            for _ in 0..changes {
                let pause = world.between(ms(200), ms(400));
                world.run_for(pause);
                world.change_source(id, false);
            }
            world.run_until(secs(30), |world| is_at(world, a, id, TransferState::Done));
            assert!(world.parcel_changes(b, id) > 0 && world.parcel_changes(a, id) > 0);

            let (a, b, id) = {
                world.offer(a, b, 20_000);
                world.run_for(secs(2));
                let open = |t: &hallway_model::Transfer| t.phase == TransferPhase::Offered;
                let new = world
                    .parcels(b)
                    .into_iter()
                    .find(open)
                    .expect("it is offered");
                (a, b, new.id)
            };
            world.handle_parcel(b, id, TransferAct::Accept { to: None });
            for _ in 0..100 {
                world.run_for(ms(300));
                world.change_source(id, false);
            }
            for host in [a, b] {
                assert!(is_at(world, host, id, TransferState::Failed));
            }
            world.settle();
        },
    );
}

#[test]
fn of_two_words_at_once_each_ends_it_and_both_agree() {
    explore(
        "of_two_words_at_once_each_ends_it_and_both_agree",
        300,
        |world| {
            let (a, b, id) = if world.chance(500_000) {
                offered(world, 2_000)
            } else {
                running(world, 2_000)
            };
            let acts = [
                TransferAct::Accept { to: None },
                TransferAct::Decline,
                TransferAct::Cancel,
                TransferAct::Pause,
            ];
            for host in [a, b] {
                let number = usize::try_from(world.range(0..4)).expect("a small number");
                let (act, pause) = (acts[number].clone(), world.between(ms(0), ms(5)));
                world.run_for(pause);
                world.handle_parcel(host, id, act);
            }
            if world.chance(300_000) {
                world.reset_some();
            }
            world.settle();
        },
    );
}

#[test]
fn a_full_disk_holds_a_file_until_there_is_room() {
    explore(
        "a_full_disk_holds_a_file_until_there_is_room",
        50,
        |world| {
            let (a, b, id) = running(world, 20_000);
            world.set_room(b, Some(0));
            let full = TransferState::WaitingForRoom;
            world.run_until(secs(20), |world| {
                is_at(world, a, id, full) && is_at(world, b, id, full)
            });
            world.run_for(secs(60));
            world.set_room(b, None);
            world.run_until(secs(60), |world| {
                [a, b]
                    .iter()
                    .all(|host| is_at(world, *host, id, TransferState::Done))
            });
            world.settle();
        },
    );
}
