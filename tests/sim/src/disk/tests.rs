use redb::StorageBackend as _;

use super::*;

#[test]
fn a_crash_keeps_what_was_synced_and_kills_the_handle() {
    let disk = Disk::new([1; 32]);
    let handle = disk.open();
    handle.set_len(4).unwrap();
    handle.write(0, b"ab").unwrap();
    handle.sync_data().unwrap();
    disk.crash();
    assert!(handle.write(0, b"xx").is_err());
    let mut out = [0; 2];
    disk.open().read(0, &mut out).unwrap();
    assert_eq!(&out, b"ab");
}

#[test]
fn a_lying_disk_loses_the_last_syncs_and_keeps_the_others() {
    let disk = Disk::new([1; 32]);
    let handle = disk.open();
    handle.set_len(1).unwrap();
    handle.sync_data().unwrap();
    disk.lie_about_sync();
    for number in 1..=9u8 {
        handle.write(0, &[number]).unwrap();
        handle.sync_data().unwrap();
    }
    disk.crash();
    let mut out = [0];
    disk.open().read(0, &mut out).unwrap();
    assert_eq!(out, [1], "eight syncs are held back");
}

#[test]
fn a_disk_that_fails_keeps_failing_until_the_crash() {
    let disk = Disk::new([1; 32]);
    disk.trouble(Trouble::Syncs);
    let handle = disk.open();
    assert!(handle.sync_data().is_err() && handle.sync_data().is_err());
    assert!(disk.has_failed());
    disk.crash();
    assert!(disk.open().sync_data().is_ok() && !disk.is_troubled());
    assert_eq!(disk.syncs(), 1);
}

#[test]
fn what_a_failed_sync_dropped_no_later_sync_brings_back() {
    let dropped = (0..20u8).any(|seed| {
        let disk = Disk::new([seed; 32]);
        let handle = disk.open();
        handle.set_len(1).unwrap();
        handle.write(0, b"a").unwrap();
        disk.trouble(Trouble::OneSync);
        assert!(handle.sync_data().is_err() && handle.sync_data().is_ok());
        let mut out = [0];
        handle.read(0, &mut out).unwrap();
        assert_eq!(&out, b"a", "the page cache still has it");
        disk.crash();
        disk.open().read(0, &mut out).unwrap();
        out == [0]
    });
    assert!(dropped);
}

#[test]
fn a_full_disk_is_full_until_somebody_clears_up() {
    let disk = Disk::new([1; 32]);
    disk.open().set_len(1).unwrap();
    disk.trouble(Trouble::Full);
    assert!(disk.open().set_len(2).is_err());
    assert!(disk.open().set_len(1).is_ok());
    let handle = disk.open();
    let refused = (0..100).filter(|_| handle.write(0, b"a").is_err()).count();
    assert!((20..80).contains(&refused), "{refused}");
    disk.crash();
    assert!(disk.open().set_len(2).is_err());
    disk.mend();
    assert!(disk.open().set_len(2).is_ok() && disk.has_failed());
}

#[test]
fn a_disk_that_fails_to_write_says_so_unless_it_was_told_not_to() {
    let disk = Disk::new([1; 32]);
    let handle = disk.open();
    handle.set_len(1).unwrap();
    disk.trouble(Trouble::Writes);
    assert!(handle.write(0, b"a").is_err());
    disk.keep_failures();
    assert!(handle.write(0, b"a").is_ok() && disk.has_failed());
}

#[test]
fn a_slow_disk_owes_the_time_its_syncs_took() {
    let disk = Disk::new([1; 32]);
    disk.trouble(Trouble::Slow(Duration::from_secs(3)));
    assert!((0..100).all(|_| disk.open().sync_data().is_ok()));
    let owed = disk.take_owed();
    assert!(owed > Duration::ZERO && owed <= Duration::from_secs(3));
    assert_eq!(disk.take_owed(), Duration::ZERO);
}

#[test]
fn some_crash_loses_what_was_not_synced() {
    let lost = (0..20u8).any(|seed| {
        let disk = Disk::new([seed; 32]);
        let handle = disk.open();
        handle.set_len(4).unwrap();
        handle.write(0, b"ab").unwrap();
        disk.crash();
        let mut out = [0; 2];
        disk.open().read(0, &mut out).unwrap();
        &out != b"ab"
    });
    assert!(lost);
}
