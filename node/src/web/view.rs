//! The pages as templates (`node/templates`): what is put into them is escaped by construction.

use askama::Template;

/// The form that asks for a link.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignIn<'a> {
    pub(super) csrf: &'a str,
}

/// After it: the same for every address.
#[derive(Template)]
#[template(path = "sent.html")]
pub(super) struct Sent<'a> {
    pub(super) email: &'a str,
    pub(super) minutes: i64,
}

/// A link that may be used here.
#[derive(Template)]
#[template(path = "link.html")]
pub(super) struct Link<'a> {
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) button: &'a str,
    pub(super) token: &'a str,
    pub(super) csrf: &'a str,
}

/// What a tenant's provider has sent back.
#[derive(Template)]
#[template(path = "came_back.html")]
pub(super) struct CameBack;

/// What a container's provider has sent back.
#[derive(Template)]
#[template(path = "connected_back.html")]
pub(super) struct ConnectedBack;

/// A link that another device or browser has asked for.
#[derive(Template)]
#[template(path = "elsewhere.html")]
pub(super) struct Elsewhere;

/// Who one is.
#[derive(Template)]
#[template(path = "home.html")]
pub(super) struct Home<'a> {
    pub(super) email: &'a str,
    pub(super) tenant: &'a str,
    pub(super) role: &'a str,
    pub(super) until: &'a str,
    pub(super) csrf: &'a str,
}

/// The second factor is due.
#[derive(Template)]
#[template(path = "code.html")]
pub(super) struct Code<'a> {
    pub(super) email: &'a str,
    /// Whether the account has one to show.
    pub(super) has_one: bool,
    /// Why the one shown before was not taken.
    pub(super) why: &'a str,
    pub(super) csrf: &'a str,
}

/// Why not.
#[derive(Template)]
#[template(path = "refused.html")]
pub(super) struct Refused<'a> {
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) request: &'a str,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_people_typed_is_text_and_nothing_else() {
        let evil = "<script>x</script>\" onload=\"x";
        let page = Home { email: evil, tenant: evil, role: evil, until: evil, csrf: evil }.render().unwrap();
        assert!(!page.contains("<script") && !page.contains("\" onload"), "{page}");
        let page = Code { email: evil, has_one: true, why: evil, csrf: evil }.render().unwrap();
        assert!(!page.contains("<script") && !page.contains("\" onload"), "{page}");
        let page = Link { title: evil, text: evil, button: evil, token: evil, csrf: evil }.render().unwrap();
        assert!(!page.contains("<script") && !page.contains("\" onload"), "{page}");
    }
}
