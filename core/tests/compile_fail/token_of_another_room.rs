//! Nobody outside mints the engine's token.
use kausaldb::memory::owned::Engine;

fn main() {
    Engine::token();
    Engine(());
}
