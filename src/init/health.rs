//! Addresses that tell whether a project works: from its own health checks, from images that are known, from published ports.

use serde_json::Value;

use crate::release::model;

/// An address to ask, and how sure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Name of the question.
    pub name: String,
    /// Address, as seen from the host.
    pub url: String,
    /// Where it comes from.
    pub why: String,
    /// Whether it is good without having been asked.
    pub is_sure: bool,
}

/// Images whose health is asked at a well-known path: name, port, path.
const KNOWN: [(&str, u16, &str); 7] = [
    ("grafana", 3000, "/api/health"),
    ("grafana-oss", 3000, "/api/health"),
    ("prometheus", 9090, "/-/ready"),
    ("alertmanager", 9093, "/-/ready"),
    ("loki", 3100, "/ready"),
    ("minio", 9000, "/minio/health/live"),
    ("uptime-kuma", 3001, "/"),
];
/// Ports inside containers where pages are served as a rule.
const PAGES: [u16; 14] = [80, 8080, 8000, 3000, 5000, 4000, 4173, 5173, 8888, 9000, 8081, 3001, 1337, 2368];

/// Every address that is worth asking, in the order of the services; and what is worth a remark.
pub fn candidates(model: &Value, project: &str) -> (Vec<Candidate>, Vec<String>) {
    let mut found = Vec::new();
    let mut remarks = Vec::new();
    for service in model::services(model) {
        match of_health_check(model, &service) {
            Some(Ok(candidate)) => found.push(candidate),
            Some(Err(remark)) => {
                remarks.push(remark);
                found.extend(of_image(model, project, &service).or_else(|| of_port(model, project, &service)));
            }
            None => found.extend(of_image(model, project, &service).or_else(|| of_port(model, project, &service))),
        }
    }
    (found, remarks)
}

/// The address that a health check asks inside the container, as the host reaches it; or why it does not.
fn of_health_check(model: &Value, service: &str) -> Option<Result<Candidate, String>> {
    let test = model.get("services")?.get(service)?.get("healthcheck")?.get("test")?.as_array()?;
    let words: Vec<&str> = test.iter().filter_map(Value::as_str).collect();
    let line = filled_in(&words.join(" "), model, service);
    let (port, path) = local_address(&line)?;
    let inside = format!("its health check asks port {port}{path} inside the container");
    Some(match reached(model, service, port) {
        Some(host) => Ok(Candidate {
            name: service.to_owned(),
            url: format!("http://{host}{path}"),
            why: format!("{inside}, and the port is published"),
            is_sure: true,
        }),
        None => {
            let why = match published_somewhere(model, service, port) {
                Some(range) => format!("the host's port is chosen when it starts ({range})"),
                None => "the port is not published".to_owned(),
            };
            Err(format!("{service}: {inside}; {why}, so its health check alone is waited for, by the engine"))
        }
    })
}

/// `$$PORT` of a health check, from the service's own environment.
fn filled_in(line: &str, model: &Value, service: &str) -> String {
    let mut line = line.to_owned();
    let plain = model::environment(model, service).into_iter().filter(|(name, value)| !model::is_secret(name, value));
    for (name, value) in plain {
        for form in [format!("$${{{name}}}"), format!("${{{name}}}"), format!("$${name}"), format!("${name}")] {
            line = line.replace(&form, &value);
        }
    }
    line
}

/// Port and path of the first plain address of this very container in a command line.
fn local_address(line: &str) -> Option<(u16, String)> {
    let mut rest = line;
    while let Some(at) = rest.find("http://") {
        rest = &rest[at + 7..];
        let end = rest.find(|sign: char| sign.is_whitespace() || "\"'`)|;<>,\\&".contains(sign)).unwrap_or(rest.len());
        let address = &rest[..end];
        let (host, path) = address.find('/').map_or((address, "/"), |at| address.split_at(at));
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        let is_local = ["localhost", "127.0.0.1", "0.0.0.0", "[::1]", "$HOSTNAME", "$$HOSTNAME"].contains(&name);
        if let (true, Some(port), false) = (is_local, port, path.contains(['$', '{'])) {
            return Some((port, path.to_owned()));
        }
    }
    // `curl localhost:8080/health`, as curl and wget take it.
    let is_asked = ["curl", "wget"].iter().any(|tool| line.contains(tool));
    let bare: Vec<(&str, (u16, String))> =
        line.split_whitespace().filter_map(|word| Some((word, bare_address(word)?))).collect();
    // `--noproxy localhost localhost:3000/up`: a name alone may be what a flag wants.
    let is_more = |(word, _): &&(&str, (u16, String))| word.contains([':', '/']);
    let found = bare.iter().find(is_more).or(bare.first());
    found.filter(|_| is_asked).map(|(_, address)| address.clone())
}

/// Port and path of an address without its scheme, where it is one of this very container.
fn bare_address(word: &str) -> Option<(u16, String)> {
    let word = word.trim_matches(['"', '\'']);
    let rest = ["localhost", "127.0.0.1"].iter().find_map(|host| word.strip_prefix(host))?;
    let (port, path) = match rest.strip_prefix(':') {
        Some(rest) => rest.find('/').map_or((rest, "/"), |at| rest.split_at(at)),
        None => ("80", if rest.is_empty() { "/" } else { rest }),
    };
    (path.starts_with('/') && !path.contains('$')).then(|| Some((port.parse().ok()?, path.to_owned())))?
}

fn of_image(model: &Value, project: &str, service: &str) -> Option<Candidate> {
    let plain = image_name(model, project, service);
    let (_, port, path) = KNOWN.iter().find(|(name, ..)| *name == plain)?;
    let host = reached(model, service, *port)?;
    Some(Candidate {
        name: service.to_owned(),
        url: format!("http://{host}{path}"),
        why: format!("every {plain} answers there, and port {port} is published"),
        is_sure: *path != "/",
    })
}

/// The first page that a service publishes. Whether it answers with 200 cannot be told from the files.
fn of_port(model: &Value, project: &str, service: &str) -> Option<Candidate> {
    if super::stack::is_store(&image_name(model, project, service)) {
        return None;
    }
    let port = PAGES.into_iter().find(|port| reached(model, service, *port).is_some())?;
    let host = reached(model, service, port)?;
    Some(Candidate {
        name: service.to_owned(),
        url: format!("http://{host}/"),
        why: format!("port {port} is published; no file tells which page answers 200"),
        is_sure: false,
    })
}

/// Where the host reaches a port of a service, as `127.0.0.1:8080`.
pub fn reached(model: &Value, service: &str, port: u16) -> Option<String> {
    let own = model.get("services")?.get(service)?;
    if own.get("network_mode").and_then(Value::as_str) == Some("host") {
        return Some(format!("127.0.0.1:{port}"));
    }
    let ports = own.get("ports")?.as_array()?;
    ports.iter().find_map(|one| {
        let is_meant = one.get("target").and_then(Value::as_u64) == Some(u64::from(port))
            && one.get("protocol").and_then(Value::as_str).is_none_or(|protocol| protocol == "tcp");
        // A port that compose may choose is not known before it runs.
        let number: u16 = one.get("published")?.as_str()?.parse().ok().filter(|number| *number > 0 && is_meant)?;
        let address = one.get("host_ip").and_then(Value::as_str).unwrap_or_default();
        let address = match address {
            "" | "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
            address if address.contains(':') => format!("[{address}]"),
            address => address.to_owned(),
        };
        Some(if number == 80 { address } else { format!("{address}:{number}") })
    })
}

/// Among which ports of the host compose chooses one for a port of a service, in words.
fn published_somewhere(model: &Value, service: &str, port: u16) -> Option<String> {
    let ports = model.get("services")?.get(service)?.get("ports")?.as_array()?;
    let one = ports.iter().find(|one| one.get("target").and_then(Value::as_u64) == Some(u64::from(port)))?;
    match one.get("published").and_then(Value::as_str) {
        Some(range) if range != "0" && !range.is_empty() => Some(range.to_owned()),
        _ => Some("any that is free".to_owned()),
    }
}

/// The last word of an image's reference, without tag and digest.
pub fn image_name(model: &Value, project: &str, service: &str) -> String {
    let reference = model::image(model, project, service);
    let last = reference.rsplit('/').next().unwrap_or_default();
    last.split([':', '@']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_in_health_checks_are_found_in_the_ways_people_write_them() {
        for (line, expected) in [
            ("CMD curl -f http://localhost:3000/health", Some((3000, "/health"))),
            ("CMD-SHELL curl -fsS http://127.0.0.1/ || exit 1", Some((80, "/"))),
            ("CMD wget --spider -q http://localhost:8080/api/ping?x=1", Some((8080, "/api/ping?x=1"))),
            ("CMD node -e \"fetch('http://localhost:4000/ok').then(r => 1)\"", Some((4000, "/ok"))),
            ("CMD-SHELL curl --fail localhost:9000/live || exit 1", Some((9000, "/live"))),
            ("CMD curl -f localhost", Some((80, "/"))),
            ("CMD-SHELL curl -s --noproxy localhost localhost:3000/up | grep -q OK", Some((3000, "/up"))),
            ("CMD python -c \"import urllib.request as u; u.urlopen('http://0.0.0.0:8000/up')\"", Some((8000, "/up"))),
            ("CMD curl http://backend:3000/", None),
            ("CMD pg_isready -h localhost", None),
            ("CMD-SHELL nc -z localhost 9000", None),
            ("CMD curl https://localhost/", None),
        ] {
            assert_eq!(local_address(line), expected.map(|(port, path)| (port, path.to_owned())), "{line}");
        }
    }

    fn model() -> Value {
        json!({ "services": {
            "api": {
                "image": "shop/api:1", "environment": { "PORT": "3000" },
                "healthcheck": { "test": ["CMD-SHELL", "curl -f http://localhost:$${PORT}/health || exit 1"] },
                "ports": [{ "target": 3000, "published": "8080", "protocol": "tcp" }]
            },
            "hidden": { "image": "x", "healthcheck": { "test": ["CMD", "curl", "http://localhost:5000/"] } },
            "grafana": { "image": "grafana/grafana:11", "ports": [{ "target": 3000, "published": "3001", "host_ip": "192.0.2.7" }] },
            "web": { "image": "nginx", "ports": [{ "target": 80, "published": "80", "host_ip": "0.0.0.0" }] },
            "db": { "image": "postgres:16", "ports": [{ "target": 8080, "published": "5432" }] },
            "later": { "image": "nginx", "ports": [{ "target": 80 }] },
        }})
    }

    #[test]
    fn an_address_is_the_one_that_the_host_reaches_and_only_what_is_sure_is_called_so() {
        let (found, remarks) = candidates(&model(), "shop");
        let brief: Vec<(&str, bool)> = found.iter().map(|one| (one.url.as_str(), one.is_sure)).collect();
        let expected = [
            ("http://127.0.0.1:8080/health", true),
            ("http://192.0.2.7:3001/api/health", true),
            ("http://127.0.0.1/", false),
        ];
        assert_eq!(brief, expected);
        assert!(remarks[0].contains("hidden: its health check asks port 5000/ inside"), "{remarks:?}");
    }
}
