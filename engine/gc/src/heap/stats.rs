//! A heap's counters and pauses.

use std::time::Duration;

/// Counters since the heap's creation. The same program under the same configuration and schedule gives the same ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Collections run, of all kinds.
    pub collections: u64,
    /// Collections of young objects, or of what reference counts tell.
    pub minor: u64,
    /// Full collections.
    pub full: u64,
    /// Slices of an incremental collection.
    pub slices: u64,
    /// Incremental cycles completed. (A pass that looks for unreachable cycles of objects is a full collection.)
    pub cycles: u64,
    /// Incremental cycles given up because the log had lost words: what they had marked was marked anew, at once. A full
    /// collection that a policy, a program or a schedule asks for gives a cycle up, too, but is not counted here.
    pub degenerate: u64,
    /// Collections forced by a stress mode, a schedule, or `Heap::collect`.
    pub forced: u64,
    /// Objects copied, marked, or found to be kept by frames alone, over all collections.
    pub objects_survived: u64,
    /// Bytes of those.
    pub bytes_survived: u64,
    /// Bytes copied or slid.
    pub bytes_copied: u64,
    /// Objects that left the nursery.
    pub objects_promoted: u64,
    /// Objects freed one by one (a copying collector does not look at the dead).
    pub objects_freed: u64,
    /// Bytes that became free again.
    pub bytes_freed: u64,
    /// Objects freed although references to them were left: members of dead cycles, and what hung on them.
    pub cyclic_freed: u64,
    /// Large objects freed.
    pub large_freed: u64,
    /// Blocks swept.
    pub blocks_swept: u64,
    /// Objects that a collection reached only from frames (`drc`: that frames alone refer to).
    pub survived_from_frames_only: u64,
    /// Root slots visited, those of frames included; once a collection, however many passes it makes.
    pub roots: u64,
    /// Root slots of frames.
    pub frame_roots: u64,
    /// Allocations that took the slow path.
    pub slow_allocations: u64,
    /// Safepoints passed.
    pub safepoints: u64,
    /// Bytes handed out (inline allocation included).
    pub bytes_allocated: u64,
    /// What write barriers left to do: log entries processed, dirty cards scanned.
    pub barrier_work: u64,
    /// Logs that overflowed.
    pub log_overflows: u64,
    /// Words that barriers found no room for in the log.
    pub log_lost: u64,
    /// Allocations that found the heap at its limit: a full collection made room, or none was left.
    pub limit_hits: u64,
    /// Times that the heap took more memory, and gave some back.
    pub grown: u64,
    /// See `grown`.
    pub shrunk: u64,
    /// Verifier runs.
    pub verifications: u64,
}

impl Stats {
    /// Every counter with its name, in order: for tables and machine-readable output.
    pub fn each(&self, mut f: impl FnMut(&'static str, u64)) {
        let Stats {
            collections,
            minor,
            full,
            slices,
            cycles,
            degenerate,
            forced,
            objects_survived,
            bytes_survived,
            bytes_copied,
            objects_promoted,
            objects_freed,
            bytes_freed,
            cyclic_freed,
            large_freed,
            blocks_swept,
            survived_from_frames_only,
            roots,
            frame_roots,
            slow_allocations,
            safepoints,
            bytes_allocated,
            barrier_work,
            log_overflows,
            log_lost,
            limit_hits,
            grown,
            shrunk,
            verifications,
        } = *self;
        f("collections", collections);
        f("minor", minor);
        f("full", full);
        f("slices", slices);
        f("cycles", cycles);
        f("degenerate", degenerate);
        f("forced", forced);
        f("objects_survived", objects_survived);
        f("bytes_survived", bytes_survived);
        f("bytes_copied", bytes_copied);
        f("objects_promoted", objects_promoted);
        f("objects_freed", objects_freed);
        f("bytes_freed", bytes_freed);
        f("cyclic_freed", cyclic_freed);
        f("large_freed", large_freed);
        f("blocks_swept", blocks_swept);
        f("survived_from_frames_only", survived_from_frames_only);
        f("roots", roots);
        f("frame_roots", frame_roots);
        f("slow_allocations", slow_allocations);
        f("safepoints", safepoints);
        f("bytes_allocated", bytes_allocated);
        f("barrier_work", barrier_work);
        f("log_overflows", log_overflows);
        f("log_lost", log_lost);
        f("limit_hits", limit_hits);
        f("grown", grown);
        f("shrunk", shrunk);
        f("verifications", verifications);
    }
}

/// How long the program stood still, by powers of two of nanoseconds: for collections, and for allocations that had to
/// sweep everything. The verifier's time does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// `buckets[n]`: pauses of at least 2^n and less than 2^(n+1) ns; the first takes shorter ones too.
    pub buckets: [u64; 40],
    /// The longest, in ns.
    pub longest: u64,
    /// All together, in ns.
    pub total: u64,
    /// Besides, what allocations took to sweep blocks for themselves, and ahead, in ns.
    pub sweeping: u64,
}

impl Default for Pauses {
    fn default() -> Pauses {
        Pauses { buckets: [0; 40], longest: 0, total: 0, sweeping: 0 }
    }
}

impl Pauses {
    pub(crate) fn add(&mut self, pause: Duration) {
        let nanoseconds = whole(pause);
        let bucket = (nanoseconds.max(1).ilog2() as usize).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
        self.longest = self.longest.max(nanoseconds);
        self.total = self.total.saturating_add(nanoseconds);
    }

    pub(crate) fn add_sweeping(&mut self, time: Duration) {
        self.sweeping = self.sweeping.saturating_add(whole(time));
    }

    /// Pauses counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// An upper bound, in ns, of all but the longest `1 - share` of the pauses; 0 without pauses.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in (0u32..).zip(self.buckets) {
            seen += count;
            if count > 0 && seen >= wanted {
                return (1u64 << (bucket + 1)).min(self.longest);
            }
        }
        self.longest
    }
}

/// In nanoseconds.
fn whole(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
