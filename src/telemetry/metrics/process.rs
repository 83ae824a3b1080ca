//! What the system says of the process (proc(5)). Where it says nothing, nothing is told.

use std::fs;

use super::Sheet;
use super::families::{PROCESS_CPU, PROCESS_FDS, PROCESS_MAX_FDS, PROCESS_RESIDENT, PROCESS_THREADS, PROCESS_VIRTUAL};

/// Ticks of processor time in a second: the same on every Linux, whatever the kernel counts in (`USER_HZ`).
const TICKS: f64 = 100.0;

/// Tells it.
pub fn tell(sheet: &mut Sheet) {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let status = read("status");
    for (family, field) in [(&PROCESS_RESIDENT, "VmRSS:"), (&PROCESS_VIRTUAL, "VmSize:")] {
        if let Some(kib) = field_of(&status, field) {
            sheet.number(family, &[], kib * 1024);
        }
    }
    if let Some(threads) = field_of(&status, "Threads:") {
        sheet.number(&PROCESS_THREADS, &[], threads);
    }
    if let Some(ticks) = processor_time(&read("stat")) {
        sheet.amount(&PROCESS_CPU, &[], ticks / TICKS);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // Without the one that looks.
        sheet.number(&PROCESS_FDS, &[], open.count().saturating_sub(1));
    }
    if let Some(most) = most_descriptors(&read("limits")) {
        sheet.number(&PROCESS_MAX_FDS, &[], most);
    }
}

fn field_of(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time. The name of the program comes before, in parentheses that may hold anything.
fn processor_time(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    // The third field comes first here; they are the fourteenth and the fifteenth.
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// The soft limit; `None`: there is none.
fn most_descriptors(limits: &str) -> Option<u64> {
    field_of(limits, "Max open files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_read() {
        let status = "Name:\tvidgate\nVmSize:\t  204800 kB\nVmRSS:\t   10240 kB\nThreads:\t7\n";
        let fields = ["VmRSS:", "VmSize:", "Threads:", "VmSwap:"].map(|field| field_of(status, field));
        assert_eq!(fields, [Some(10240), Some(204_800), Some(7), None]);
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 7 0 100 1 1";
        assert_eq!(processor_time(stat), Some(300.0));
        assert_eq!(processor_time("nonsense"), None);
        let limits = "Limit   Soft Limit   Hard Limit   Units\nMax open files            1024        524288    files\n";
        assert_eq!(most_descriptors(limits), Some(1024));
        assert_eq!(most_descriptors("Max open files            unlimited        unlimited    files\n"), None);
    }

    #[test]
    fn this_process_takes_memory() {
        let mut sheet = Sheet::new();
        tell(&mut sheet);
        let (_, page) = super::super::page(sheet, None);
        for family in [&PROCESS_RESIDENT, &PROCESS_VIRTUAL, &PROCESS_CPU, &PROCESS_FDS, &PROCESS_THREADS] {
            assert!(page.lines().any(|line| line.starts_with(&format!("{} ", family.name))), "{}: {page}", family.name);
        }
    }
}
