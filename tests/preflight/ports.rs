//! Ports. Law: free and ours are ok and said so; everyone else is named.

use std::net::TcpListener;

use cutover::preflight::Verdict;

use crate::held::free_port;
use crate::stand::{BOX, Stand, holds};

fn publishing(port: u16) -> String {
    format!("{BOX}    ports: ['127.0.0.1:{port}:80']\n")
}

#[tokio::test]
async fn a_stranger_that_holds_a_port_is_named_with_its_process() {
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stranger.local_addr().unwrap().port();
    let stand = Stand::new(&publishing(port), "");
    let process = format!("(pid {})", std::process::id());
    holds(&stand.one("ports").await, Verdict::Fail, &[&format!("{port}/tcp for web is held by the process"), &process]);
    drop(stranger);
    holds(&stand.one("ports").await, Verdict::Ok, &[&format!("{port}/tcp for web is free")]);
}

#[tokio::test]
async fn a_port_that_our_own_container_holds_is_ours_and_another_projects_is_not() {
    let port = free_port();
    let mut ours = Stand::new(&publishing(port), "");
    ours.up();
    holds(&ours.one("ports").await, Verdict::Ok, &[&format!("held by our container {}-web-1", ours.name)]);
    let theirs = Stand::new(&publishing(port), "");
    let words = format!("held by the container {}-web-1, which is not of this project", ours.name);
    holds(&theirs.one("ports").await, Verdict::Fail, &[&words]);
}
