//! Who gave a value away has it no more: a sealed page takes no more records.
use kausaldb::memory::owned::{Memtable, Owned, Table};

fn seal(page: Owned<[u8; 4], Memtable>, memtable: &Memtable) -> Owned<[u8; 4], Table> {
    let mut page = page;
    let sealed = page.transfer(memtable);
    page.get_mut(memtable)[0] = 1;
    sealed
}

fn main() {}
