//! A signed-in caller comes from `System::authenticate` alone.
use ocmt_actors::{Caller, SignedIn};

fn forge(stranger: &Caller, who: SignedIn) -> Caller {
    Caller::signed_in(stranger.tenant(), who, stranger.request(), None)
}

fn own_work(stranger: &Caller) -> Caller {
    Caller::system(stranger.tenant(), stranger.request())
}
