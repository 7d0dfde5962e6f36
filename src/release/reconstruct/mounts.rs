//! Mounts: binds, named volumes, tmpfs. Law: a volume is named by its real name, so that `up` finds the very same data.

use serde_json::{Value, json};

use super::fields::{Fields, Remarks, Table, put};
use super::names::Around;

/// Reads what `HostConfig` mounts and what the image wants mounted.
pub(super) fn read(
    (host, config): (&mut Fields, &mut Fields),
    image_volumes: &[String],
    around: &mut Around<'_>,
    (table, remarks): (&mut Table, &mut Remarks),
) {
    let mut mounts: Vec<Value> = Vec::new();
    for text in host.texts("Binds") {
        mounts.push(Value::Object(bind(&text, around, remarks)));
    }
    for one in host.items("Mounts") {
        mounts.push(Value::Object(mount(one, around, remarks)));
    }
    let tmpfs = host.pairs("Tmpfs");
    for target in config.keys("Volumes") {
        let is_mounted = mounts.iter().any(|mount| mount["target"] == target.as_str());
        if !is_mounted && !tmpfs.iter().any(|(path, _)| *path == target) {
            mounts.push(json!({"type": "volume", "target": target}));
        }
    }
    mounts.retain(|mount| {
        let target = mount["target"].as_str().unwrap_or_default();
        if mount["type"] != "volume" || mount.get("source").is_some() {
            return true;
        }
        remarks.say(format_args!(
            "{target} is an anonymous volume: it goes over from a container to the one that takes its place, and is \
             lost with a container that is removed"
        ));
        !image_volumes.iter().any(|wanted| wanted == target)
    });
    mounts.sort_by_cached_key(|mount| mount["target"].to_string());
    put(table, "volumes", mounts);
    let tmpfs = tmpfs.into_iter();
    let tmpfs = tmpfs.map(|(path, options)| if options.is_empty() { path } else { format!("{path}:{options}") });
    put(table, "tmpfs", tmpfs.collect::<Vec<_>>());
    put(table, "volumes_from", volumes_from(host, around, remarks));
}

/// A bind in the old form, `source:target:options`. Only this form makes a source that is not there.
fn bind(text: &str, around: &mut Around<'_>, remarks: &mut Remarks) -> Table {
    let mut parts = text.splitn(3, ':');
    let [source, target, options] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let mut read = Table::new();
    let mut bind = json!({"create_host_path": true});
    let mut volume = Table::new();
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "rw" => {}
            "ro" => put(&mut read, "read_only", true),
            "z" | "Z" => bind["selinux"] = option.into(),
            "nocopy" => put(&mut volume, "nocopy", true),
            "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave" => bind["propagation"] = option.into(),
            other => remarks.say(format_args!("the option {other} of the mount at {target} is left out")),
        }
    }
    read.insert("source".into(), source.into());
    read.insert("target".into(), target.into());
    if source.starts_with('/') {
        read.insert("type".into(), "bind".into());
        read.insert("bind".into(), bind);
    } else {
        read.insert("type".into(), "volume".into());
        read.insert("source".into(), around.volumes.key(around.project, source).into());
        put(&mut read, "volume", volume);
    }
    read
}

/// A mount in the new form. A volume that nobody named has no source, whatever the engine called it.
fn mount(mut one: Fields, around: &mut Around<'_>, remarks: &mut Remarks) -> Table {
    let (kind, source, target) = (one.text("Type"), one.text("Source"), one.text("Target"));
    let mut read = Table::new();
    put(&mut read, "type", kind.as_str());
    put(&mut read, "source", source.as_str());
    put(&mut read, "target", target.as_str());
    put(&mut read, "read_only", one.is_set("ReadOnly"));
    one.hand_over(&[("Consistency", "consistency")], &mut read);
    match kind.as_str() {
        "bind" => {
            read.insert("bind".into(), Value::Object(bind_options(&mut one, &target, remarks)));
        }
        "volume" => {
            let options = one.inner("VolumeOptions");
            if is_anonymous(&source) {
                read.shift_remove("source");
            } else {
                read.insert("source".into(), around.volumes.key(around.project, &source).into());
            }
            let mut volume = Table::new();
            if let Some(mut options) = options {
                options.hand_over(&[("NoCopy", "nocopy"), ("Subpath", "subpath")], &mut volume);
                // Both matter only to the making of a volume, and this one is there.
                options.forget(&["Labels", "DriverConfig"]);
                put(&mut read, "volume", volume);
                options.say_the_rest(&format!("the mount at {target}: "), remarks);
            }
        }
        "tmpfs" => {
            let mut tmpfs = Table::new();
            if let Some(mut options) = one.inner("TmpfsOptions") {
                put(&mut tmpfs, "size", options.take("SizeBytes").map(|size| size.to_string()).unwrap_or_default());
                options.hand_over(&[("Mode", "mode")], &mut tmpfs);
                options.say_the_rest(&format!("the mount at {target}: "), remarks);
            }
            put(&mut read, "tmpfs", tmpfs);
        }
        _ => {}
    }
    one.say_the_rest(&format!("the mount at {target}: "), remarks);
    read
}

/// Compose makes a mount in the new form when it may not make the source, or when it is told of propagation.
fn bind_options(one: &mut Fields, target: &str, remarks: &mut Remarks) -> Table {
    let mut bind = Table::new();
    let Some(mut options) = one.inner("BindOptions") else {
        return Table::from_iter([("create_host_path".to_owned(), false.into())]);
    };
    bind.insert("create_host_path".into(), options.is_set("CreateMountpoint").into());
    options.hand_over(&[("Propagation", "propagation")], &mut bind);
    let recursive =
        [("NonRecursive", "disabled"), ("ReadOnlyNonRecursive", "writable"), ("ReadOnlyForceRecursive", "readonly")];
    for (theirs, ours) in recursive {
        if options.is_set(theirs) {
            put(&mut bind, "recursive", ours);
        }
    }
    options.say_the_rest(&format!("the mount at {target}: "), remarks);
    bind
}

/// The engine names a volume that nobody named by 64 hexadecimal digits.
fn is_anonymous(name: &str) -> bool {
    name.is_empty() || name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn volumes_from(host: &mut Fields, around: &Around<'_>, remarks: &mut Remarks) -> Vec<String> {
    let mut from = Vec::new();
    for text in host.texts("VolumesFrom") {
        let (id, mode) = text.split_once(':').map_or((text.as_str(), ""), |(id, mode)| (id, mode));
        let known = around.containers.iter().find(|(full, known)| *full == id || known.name == id);
        let source = match known {
            Some((_, known)) => known.service.clone(),
            None => {
                remarks.say(format_args!("it takes the volumes of the container {id}, which is not of this project"));
                format!("container:{id}")
            }
        };
        from.push(if mode.is_empty() { source } else { format!("{source}:{mode}") });
    }
    from
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::names::Named;
    use super::*;

    fn mounted(host: &Value, config: &Value, image: &[&str]) -> (Value, Vec<String>) {
        let containers = BTreeMap::new();
        let mut around = Around { project: "shop", containers, volumes: Named::default(), networks: Named::default() };
        let (mut table, mut remarks) = (Table::new(), Remarks::of("web"));
        let (mut host, mut config) = (Fields::of(host).unwrap(), Fields::of(config).unwrap());
        let image: Vec<String> = image.iter().map(|&path| path.to_owned()).collect();
        read((&mut host, &mut config), &image, &mut around, (&mut table, &mut remarks));
        (Value::Object(table), remarks.into_said())
    }

    #[test]
    fn binds_in_the_old_form_keep_their_options_and_say_the_one_that_is_lost() {
        let (read, said) = mounted(&json!({"Binds": ["/a:/b:ro,Z,rslave", "shop_data:/c:rw,odd"]}), &json!({}), &[]);
        let bind = json!({"create_host_path": true, "selinux": "Z", "propagation": "rslave"});
        assert_eq!(
            read["volumes"],
            json!([{"type": "bind", "source": "/a", "target": "/b", "read_only": true, "bind": bind},
                   {"type": "volume", "source": "data", "target": "/c"}])
        );
        assert_eq!(said, ["web: the option odd of the mount at /c is left out"]);
    }

    #[test]
    fn a_volume_that_the_image_wants_by_itself_is_left_to_it_and_remarked() {
        let handed_on = json!({"Mounts": [{"Type": "volume", "Source": "0".repeat(64), "Target": "/a"},
                                          {"Type": "volume", "Source": "1".repeat(64), "Target": "/b"}]});
        let (read, said) = mounted(&handed_on, &json!({"Volumes": {"/a": {}}}), &["/a"]);
        assert_eq!(read["volumes"], json!([{"type": "volume", "target": "/b"}]));
        assert!(said.len() == 2 && said.iter().all(|one| one.contains("is an anonymous volume")), "{said:?}");
    }

    #[test]
    fn a_mount_that_a_model_cannot_say_is_remarked() {
        let options = json!({"Labels": {"a": "b"}, "New": 1});
        let (_, said) = mounted(
            &json!({"Mounts": [{"Type": "volume", "Source": "x", "Target": "/x", "VolumeOptions": options}]}),
            &json!({}),
            &[],
        );
        assert_eq!(said, ["web: the mount at /x: New = 1 cannot be said in a compose model and is left out"]);
    }
}
