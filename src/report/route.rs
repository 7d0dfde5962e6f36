//! The public route: where it leads, and what visitors get. Law: a file says what was meant; only an answer says what is.

use serde_json::{Value, json};

/// What was read from the files of the switch, and what the route answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The public route.
    pub url: String,
    /// Where Caddy tells who serves.
    pub identity: String,
    /// The directory that Caddy reads.
    pub place: String,
    /// What the switch says, in words; or why it cannot be read.
    pub leads: Result<String, String>,
    /// The identity that the switch says.
    pub id: Option<String>,
    /// What somebody else changed in the switch since a run of ours led it.
    pub changed: Option<String>,
    /// Whether the file of the maintenance page is there.
    pub is_maintenance: bool,
    /// The status that visitors get; or why there is none.
    pub answer: Result<u16, String>,
    /// The identity that the route told, where it told one.
    pub told: Option<String>,
}

/// What that comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Visitors are served by whom the switch names.
    Serves,
    /// They get the page, as a person wanted.
    Page(String),
    /// They are not served as meant.
    Ill(String),
    /// Nobody knows.
    Unknown(String),
}

impl Route {
    /// What visitors get, in words.
    pub fn visitors(&self) -> String {
        match &self.answer {
            Ok(status) if self.is_maintenance && *status == 503 => "visitors get 503 with the page".into(),
            Ok(status) => format!("visitors get {status} at {}", self.url),
            Err(why) => format!("what visitors get is not known: {} does not answer: {why}", self.url),
        }
    }

    /// Whether visitors are served as meant.
    pub fn stands(&self) -> Stands {
        let visitors = self.visitors();
        if let Err(why) = &self.leads {
            return Stands::Unknown(format!("the switch cannot be read: {why}"));
        }
        if let Some(changed) = &self.changed {
            return Stands::Ill(format!("somebody changed the switch: {changed}; {visitors}"));
        }
        match self.answer {
            Err(_) => Stands::Unknown(visitors),
            Ok(503) if self.is_maintenance => Stands::Page(visitors),
            Ok(_) if self.is_maintenance => {
                Stands::Ill(format!("maintenance is on by {}/maintenance, but {visitors}", self.place))
            }
            Ok(500..) => Stands::Ill(visitors),
            Ok(_) => self.another().map_or(Stands::Serves, Stands::Ill),
        }
    }

    /// Where the route tells another one than the switch says.
    fn another(&self) -> Option<String> {
        let (id, told) = (self.id.as_ref()?, self.told.as_ref()?);
        (id != told).then(|| format!("{} tells {told}, but the switch says {id}", self.identity))
    }

    /// The row: where it leads, and what is answered.
    pub fn words(&self) -> String {
        let leads = match &self.leads {
            Ok(words) => words.clone(),
            Err(why) => format!("where it leads is not known: {why}"),
        };
        let told = self.another().map(|words| format!("; {words}")).unwrap_or_default();
        let changed = self.changed.as_ref().map(|words| format!("; somebody changed it: {words}")).unwrap_or_default();
        format!("{leads}; {}{told}{changed}", self.visitors())
    }

    /// The row about maintenance, while its file is there.
    pub fn maintenance(&self) -> Option<String> {
        self.is_maintenance
            .then(|| format!("on: {}/maintenance is there; `cutover maintenance off` ends it", self.place))
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "url": self.url,
            "leads": self.leads.as_ref().ok(),
            "id": self.id,
            "told": self.told,
            "status": self.answer.as_ref().ok(),
            "changed": self.changed,
            "is_maintenance": self.is_maintenance,
            "unknown": self.leads.as_ref().err().or(self.answer.as_ref().err()),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A route that serves r3.
    pub fn serving() -> Route {
        Route {
            url: "http://shop.test/".into(),
            identity: "http://shop.test/.well-known/cutover-id".into(),
            place: "/run/cutover".into(),
            leads: Ok("shop-r3: app leads to shop-r3-backend".into()),
            id: Some("shop-r3".into()),
            changed: None,
            is_maintenance: false,
            answer: Ok(200),
            told: Some("shop-r3".into()),
        }
    }

    #[test]
    fn only_an_answer_by_whom_the_switch_names_is_service() {
        assert_eq!(serving().stands(), Stands::Serves);
        let ill = |change: fn(&mut Route)| {
            let mut route = serving();
            change(&mut route);
            let Stands::Ill(words) = route.stands() else { panic!("{:?}", route.stands()) };
            words
        };
        assert_eq!(ill(|route| route.answer = Ok(502)), "visitors get 502 at http://shop.test/");
        assert!(
            ill(|route| route.told = Some("shop-r8".into())).ends_with("tells shop-r8, but the switch says shop-r3")
        );
        assert!(
            ill(|route| route.changed = Some("/run/cutover/app says x".into())).contains("/run/cutover/app says x")
        );
        assert!(
            ill(|route| route.is_maintenance = true).contains("maintenance is on by /run/cutover/maintenance, but")
        );
    }

    #[test]
    fn what_could_not_be_asked_is_not_known_and_the_page_is_no_service() {
        let mut route = serving();
        route.answer = Err("refused".into());
        assert!(matches!(route.stands(), Stands::Unknown(words) if words.contains("does not answer: refused")));
        (route.answer, route.is_maintenance) = (Ok(503), true);
        assert_eq!(route.stands(), Stands::Page("visitors get 503 with the page".into()));
    }
}
