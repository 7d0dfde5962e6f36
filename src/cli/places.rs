//! The databases and the accounts' service of a configuration, found by variable or file. What is secret in them is known to every stream at once.

use super::out;
use crate::adapter::database::Place;
use crate::adapter::dns::tsig::{Digest, Key};
use crate::adapter::http::Http;
use crate::adapter::stack_auth::StackAuth;
use crate::config::{Config, Database, Environment, SecretAt, TsigAlgorithm};
use crate::dns::provider::Credentials;
use crate::secret::Secret;
use crate::step::Databases;

/// `[source]` and `[target]`, as far as they are there. A verb that needs one finds the reason why it is not.
pub fn of(config: &Config, environment: &Environment) -> Databases {
    let mut databases = Databases::default();
    for (table, database) in [("source", &config.source), ("target", &config.target)] {
        if let Some(database) = database {
            databases.add(table, place(table, database, environment));
        }
    }
    databases
}

/// `[users]`: the service that accounts move to.
pub fn accounts(config: &Config, environment: &Environment, http: &Http) -> Option<Result<StackAuth, String>> {
    let users = config.users.as_ref()?;
    let fetch = |name: &str, at: &SecretAt| -> Result<Secret, String> {
        let secret = at.read(environment).map_err(|error| format!("[users] has no {name}: {error}"))?;
        out::redactor().learn([secret.expose().to_owned()]);
        Ok(secret)
    };
    let client = || {
        let (project, key) = (fetch("project_id", &users.project_id)?, fetch("secret_key", &users.secret_key)?);
        StackAuth::new(http.clone(), users.base_url.as_str(), project, key, users.timeout)
            .map_err(|error| format!("[users]: {error}"))
    };
    Some(client())
}

/// `[dns]`: what whoever keeps the names is called with.
pub fn names(config: &Config, environment: &Environment, http: &Http) -> Credentials {
    let Some(dns) = &config.dns else { return Credentials::default() };
    let fetch = |name: &str, at: &SecretAt| -> Result<Secret, String> {
        let secret = at.read(environment).map_err(|error| format!("[dns] has no {name}: {error}"))?;
        out::redactor().learn([secret.expose().to_owned()]);
        Ok(secret)
    };
    let key = dns.tsig.as_ref().map(|tsig| {
        let digest = match tsig.algorithm {
            TsigAlgorithm::HmacSha256 => Digest::Sha256,
            TsigAlgorithm::HmacSha512 => Digest::Sha512,
        };
        Ok(Key { name: tsig.name.clone(), digest, secret: fetch("TSIG key", &tsig.secret)? })
    });
    let token = dns.token.as_ref().map(|token| fetch("API token", token));
    Credentials { http: http.clone(), key, token, timeout: dns.timeout }
}

fn place(table: &str, database: &Database, environment: &Environment) -> Result<Place, String> {
    let url = database.url.read(environment).map_err(|error| format!("[{table}] has no connection string: {error}"))?;
    out::redactor().learn([url.expose().to_owned()]);
    let place =
        Place::parse(&url, database.ca_certificate.as_deref()).map_err(|error| format!("[{table}]: {error:#}"))?;
    // In a string of words (host=… password=…) nothing but its reader knows which of them is the password.
    out::redactor().learn(place.password().map(|password| password.expose().to_owned()));
    Ok(place)
}
