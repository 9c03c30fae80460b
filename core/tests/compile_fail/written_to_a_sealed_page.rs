//! A sealed page takes no more records.
use kausaldb::format::Header;
use kausaldb::log::OpenPage;

fn add_late(page: &mut OpenPage<'_>, header: &Header) {
    let sealed = page.seal();
    sealed.push(header, 64);
}

fn main() {}
