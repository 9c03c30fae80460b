//! Nobody flushes the log while a record is half written: its writer has the log and the buffer.
use kausaldb::Storage;
use kausaldb::format::Record;
use kausaldb::log::Log;

fn tear<S: Storage>(log: &mut Log<'_>, storage: &mut S, record: &Record) {
    let mut writer = log.begin(storage, record, false).unwrap();
    writer.body(b"half of it").unwrap();
    log.flush(storage).unwrap();
    writer.end().unwrap();
}

fn main() {}
