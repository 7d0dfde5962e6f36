//! The words that may be chosen between; each enum knows its own words, so the key list cannot drift from it.

/// Declares an enum together with the words that stand for its variants in the file.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// The words as written in the file, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as written in the file.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The variant that a word stands for.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

choice! {
    /// How a release takes the place of the one before it.
    Strategy {
        /// Containers are changed in place.
        #[default]
        Recreate = "recreate",
        /// The new side starts beside the old one, then one rename switches.
        BlueGreen = "blue-green",
    }
}

choice! {
    /// How a blue-green deployment handles a service.
    Handling {
        /// Beside the old one, and switched with the others.
        #[default]
        Together = "together",
        /// In place, the old container first: it must be there only once.
        StopFirst = "stop-first",
        /// Not at all.
        Leave = "leave",
    }
}

choice! {
    /// What follows when a deployment fails after its first change.
    OnFailure {
        /// The old release is put back.
        #[default]
        Rollback = "rollback",
        /// Everything stays as it is, for a person to look at.
        Hold = "hold",
    }
}

choice! {
    /// What a rollback does about a migration that has run.
    OnRollback {
        /// The new schema stays; the old release must live with it.
        #[default]
        Keep = "keep",
        /// The backup from before the migration is restored.
        Restore = "restore",
        /// The command in `undo` is run.
        Command = "command",
    }
}

choice! {
    /// When a migration runs.
    When {
        /// Before the new release is started.
        #[default]
        Before = "before",
        /// After the new release has become healthy.
        After = "after",
    }
}

choice! {
    /// When images are pulled.
    PullPolicy {
        /// At every deployment.
        Always = "always",
        /// When they are not on this host.
        #[default]
        Missing = "missing",
        /// Never; they must be on this host.
        Never = "never",
    }
}

choice! {
    /// The service that users' accounts move to.
    UserProvider {
        /// Stack Auth's server API.
        #[default]
        StackAuth = "stack-auth",
    }
}

choice! {
    /// Who changes DNS records.
    DnsProvider {
        /// A person.
        #[default]
        Manual = "manual",
        /// Dynamic updates, signed with TSIG.
        Rfc2136 = "rfc2136",
        /// DigitalOcean's API.
        DigitalOcean = "digitalocean",
        /// Cloudflare's API.
        Cloudflare = "cloudflare",
    }
}

choice! {
    /// The algorithm of a TSIG key.
    TsigAlgorithm {
        /// HMAC with SHA-256.
        #[default]
        HmacSha256 = "hmac-sha256",
        /// HMAC with SHA-512.
        HmacSha512 = "hmac-sha512",
    }
}

choice! {
    /// What a rule of the watched window asks.
    RuleKind {
        /// A PromQL query that gives one number.
        #[default]
        Query = "query",
        /// An address that must answer.
        Url = "url",
        /// A LogQL query that counts lines.
        Log = "log",
        /// Rows that a table gained.
        Rows = "rows",
    }
}

choice! {
    /// How much the breach of a rule weighs.
    RuleLevel {
        /// Worth a look.
        #[default]
        Watch = "watch",
        /// A reason to change nothing until somebody has looked.
        Hold = "hold",
        /// A reason to go back.
        Rollback = "rollback",
    }
}

choice! {
    /// Which database a rule asks.
    RuleSide {
        /// The one that is moved to.
        #[default]
        Target = "target",
        /// The one that is left.
        Source = "source",
    }
}

choice! {
    /// How somebody is told.
    ChannelKind {
        /// A webhook that takes Slack's form.
        #[default]
        Slack = "slack",
        /// Our own JSON, signed.
        Webhook = "webhook",
        /// A push monitor of Uptime Kuma.
        Kuma = "kuma",
        /// Annotations of Grafana.
        Grafana = "grafana",
        /// A Pushgateway.
        Pushgateway = "pushgateway",
        /// A file that node_exporter reads.
        Textfile = "textfile",
        /// E-mail.
        Smtp = "smtp",
    }
}

choice! {
    /// What follows when nobody approved a checkpoint in time.
    OnExpiry {
        /// The run stands as it is, for a person.
        #[default]
        Hold = "hold",
        /// Everything is undone.
        Rollback = "rollback",
    }
}

choice! {
    /// One of the two databases.
    Part {
        /// The one that is being left.
        Source = "source",
        /// The one that is being moved to.
        #[default]
        Target = "target",
    }
}

choice! {
    /// What a target is filled from, or compared with.
    RowsFrom {
        /// The live source.
        #[default]
        Source = "source",
        /// The files of an export.
        Files = "files",
    }
}

choice! {
    /// Where a section of a rendered runbook stands.
    SectionPlace {
        /// Before the phases.
        Before = "before",
        /// After the phases.
        #[default]
        After = "after",
    }
}
