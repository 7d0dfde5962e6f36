//! What a container may use: memory, processors, devices, ulimits. Law: a limit that the engine worked out by itself
//! is left to the engine.

use serde_json::{Value, json};

use super::fields::{Fields, Remarks, Table, put};

/// What the engine gives `/dev/shm` when nobody asks for more.
const SHM_SIZE: i64 = 64 * 1024 * 1024;

/// Reads the limits in `HostConfig`.
pub(super) fn read(host: &mut Fields, table: &mut Table, remarks: &mut Remarks) {
    memory(host, table);
    processors(host, table);
    host.hand_over(
        &[
            ("PidsLimit", "pids_limit"),
            ("OomScoreAdj", "oom_score_adj"),
            ("OomKillDisable", "oom_kill_disable"),
            ("CgroupParent", "cgroup_parent"),
            ("DeviceCgroupRules", "device_cgroup_rules"),
        ],
        table,
    );
    let mut ulimits = Table::new();
    for mut limit in host.items("Ulimits") {
        let name = limit.text("Name");
        ulimits.insert(name, json!({"soft": limit.number("Soft"), "hard": limit.number("Hard")}));
    }
    ulimits.sort_keys();
    put(table, "ulimits", ulimits);
    block_io(host, table);
    devices(host, table, remarks);
}

fn memory(host: &mut Fields, table: &mut Table) {
    let limit = host.number("Memory");
    let bytes = |bytes: i64| if bytes == 0 { String::new() } else { bytes.to_string() };
    put(table, "mem_limit", bytes(limit));
    put(table, "mem_reservation", bytes(host.number("MemoryReservation")));
    match host.number("MemorySwap") {
        // Twice the memory is what the engine makes of a limit without a word about swap.
        swap if swap == limit.saturating_mul(2) => {}
        -1 => put(table, "memswap_limit", -1),
        swap => put(table, "memswap_limit", bytes(swap)),
    }
    host.hand_over(&[("MemorySwappiness", "mem_swappiness")], table);
    let shm = host.number("ShmSize");
    put(table, "shm_size", if shm == SHM_SIZE { String::new() } else { bytes(shm) });
}

fn processors(host: &mut Fields, table: &mut Table) {
    put(table, "cpus", cpus(host.number("NanoCpus")));
    host.hand_over(
        &[
            ("CpuShares", "cpu_shares"),
            ("CpuPeriod", "cpu_period"),
            ("CpuQuota", "cpu_quota"),
            ("CpuRealtimePeriod", "cpu_rt_period"),
            ("CpuRealtimeRuntime", "cpu_rt_runtime"),
            ("CpusetCpus", "cpuset"),
        ],
        table,
    );
}

/// Compose keeps this number in single precision: the shortest text of that is what somebody wrote.
fn cpus(nano: i64) -> Value {
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "compose's own precision")]
    let single = (nano as f64 / 1e9) as f32;
    single.to_string().parse::<f64>().map_or(Value::Null, |number| json!(number))
}

fn block_io(host: &mut Fields, table: &mut Table) {
    let mut read = Table::new();
    put(&mut read, "weight", host.number("BlkioWeight"));
    let lists = [
        ("BlkioWeightDevice", "weight_device"),
        ("BlkioDeviceReadBps", "device_read_bps"),
        ("BlkioDeviceReadIOps", "device_read_iops"),
        ("BlkioDeviceWriteBps", "device_write_bps"),
        ("BlkioDeviceWriteIOps", "device_write_iops"),
    ];
    for (theirs, ours) in lists {
        let devices = host.items(theirs).into_iter().map(|mut device| {
            let mut one = Table::new();
            device.hand_over(&[("Path", "path"), ("Rate", "rate"), ("Weight", "weight")], &mut one);
            Value::Object(one)
        });
        put(&mut read, ours, devices.collect::<Vec<_>>());
    }
    put(table, "blkio_config", read);
}

fn devices(host: &mut Fields, table: &mut Table, remarks: &mut Remarks) {
    let mut devices: Vec<String> = Vec::new();
    for mut device in host.items("Devices") {
        let parts = ["PathOnHost", "PathInContainer", "CgroupPermissions"].map(|name| device.text(name));
        devices.push(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":"));
    }
    let mut reserved = Vec::new();
    for mut request in host.items("DeviceRequests") {
        let driver = request.text("Driver");
        if driver == "cdi" {
            devices.extend(request.texts("DeviceIDs"));
        } else {
            reserved.push(Value::Object(reservation(&driver, request, remarks)));
        }
    }
    put(table, "devices", devices);
    if !reserved.is_empty() {
        let deploy = table.entry("deploy").or_insert_with(|| json!({}));
        deploy["resources"]["reservations"]["devices"] = Value::Array(reserved);
    }
}

/// Devices that are asked for by what they can do, such as graphics cards.
fn reservation(driver: &str, mut request: Fields, remarks: &mut Remarks) -> Table {
    let mut read = Table::new();
    put(&mut read, "driver", driver);
    match request.number("Count") {
        -1 => put(&mut read, "count", "all"),
        count => put(&mut read, "count", count),
    }
    put(&mut read, "device_ids", request.texts("DeviceIDs"));
    let capabilities = request.take("Capabilities").and_then(|all| all.as_array().cloned()).unwrap_or_default();
    if capabilities.len() > 1 {
        remarks.say("it asks for devices of several kinds at once; the first kind is kept");
    }
    put(&mut read, "capabilities", capabilities.into_iter().next().unwrap_or_default());
    request.hand_over(&[("Options", "options")], &mut read);
    request.say_the_rest("DeviceRequests.", remarks);
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(host: &Value) -> Value {
        let mut table = Table::new();
        let mut host = Fields::of(host).unwrap();
        let mut remarks = Remarks::of("web");
        read(&mut host, &mut table, &mut remarks);
        host.say_the_rest("", &mut remarks);
        assert_eq!(remarks.into_said(), [""; 0]);
        Value::Object(table)
    }

    #[test]
    fn swap_that_the_engine_worked_out_is_left_to_it() {
        assert_eq!(limits(&json!({"Memory": 4096, "MemorySwap": 8192})), json!({"mem_limit": "4096"}));
        let limited = limits(&json!({"Memory": 4096, "MemorySwap": -1}));
        assert_eq!(limited, json!({"mem_limit": "4096", "memswap_limit": -1}));
    }

    #[test]
    fn processors_are_told_as_somebody_wrote_them() {
        let told: Vec<_> = [150_000_000, 100_000_001, 1_500_000_000, 12_700_000_000].map(cpus).into();
        assert_eq!(told, [json!(0.15), json!(0.1), json!(1.5), json!(12.7)]);
    }

    #[test]
    fn graphics_cards_are_reserved_devices() {
        let host = json!({"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]});
        let device = json!({"driver": "nvidia", "count": "all", "capabilities": ["gpu"]});
        assert_eq!(limits(&host), json!({"deploy": {"resources": {"reservations": {"devices": [device]}}}}));
    }
}
