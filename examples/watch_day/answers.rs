//! What the watcher asks: a Prometheus that counts 60 requests a minute for ever, a Loki, pages, and a push monitor. It forgets
//! every request at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Serves until it is killed; prints its port first.
pub fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || drop(answer(stream)));
    }
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let mut length = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header)?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    let target = line.split_whitespace().nth(1).unwrap_or("/").to_owned();
    let body = body(&target);
    let stream = stream.get_mut();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn body(target: &str) -> String {
    let url = url::Url::parse(&format!("http://double{target}")).unwrap();
    let value = |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    let Some(query) = value("query") else { return "{\"ok\":true}".into() };
    let at: f64 = value("time").and_then(|time| time.parse().ok()).unwrap_or(0.0);
    if query == "time()" {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        return data("scalar", &format!("[{now},\"{now}\"]"));
    }
    // A selector with a window gives its samples; everything else gives one number.
    let Some((selector, reach)) =
        query.rsplit_once('[').and_then(|(selector, rest)| Some((selector, rest.strip_suffix("ms]")?)))
    else {
        return data("vector", "[{\"metric\":{},\"value\":[0,\"1\"]}]");
    };
    let reach_s = reach.parse::<f64>().unwrap_or(0.0) / 1000.0;
    let labels = "\"job\":\"caddy\",\"instance\":\"caddy:9180\"";
    let series = |more: &str, of: &dyn Fn(i64) -> i64| {
        // One scrape every 15 s, at the same seconds whoever asks.
        let (first, last) = (((at - reach_s) / 15.0).floor() as i64 + 1, (at / 15.0).floor() as i64);
        let samples: Vec<String> = (first..=last).map(|slot| format!("[{},\"{}\"]", slot * 15, of(slot))).collect();
        format!("[{{\"metric\":{{{labels}{more}}},\"values\":[{}]}}]", samples.join(","))
    };
    match selector {
        _ if selector.starts_with("up") => data("matrix", &series("", &|_| 1)),
        _ if selector.starts_with("process_start") => data("matrix", &series("", &|_| 1_000_000)),
        _ if selector.starts_with("caddy_") => data(
            "matrix",
            &series(",\"code\":\"200\",\"server\":\"app\",\"handler\":\"reverse_proxy\"", &|slot| slot * 15),
        ),
        _ => data("matrix", "[]"),
    }
}

fn data(kind: &str, result: &str) -> String {
    format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":{result}}}}}")
}
