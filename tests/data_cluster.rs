//! The tests' own PostgreSQL: it starts, answers by its connection string, and is gone afterwards.

#![expect(clippy::disallowed_methods, reason = "tests start servers as a person would")]

mod support;

use cutover::adapter::database::Place;
use cutover::secret::Secret;
use support::cluster::Cluster;

#[tokio::test]
async fn a_session_is_pinned_and_named() {
    let cluster = Cluster::new(&["timezone = 'America/New_York'"]);
    let place = Place::parse(&Secret::new(cluster.url("postgres")), None).unwrap();
    assert!(!place.shown().contains(support::cluster::PASSWORD), "{}", place.shown());
    let session = place.connect("cutover run 7 epoch 1").await.unwrap();
    let row = session
        .query_one("SELECT current_setting('TimeZone'), current_setting('application_name')", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, String>(0), row.get::<_, String>(1)), ("UTC".into(), "cutover run 7 epoch 1".into()));
}
