//! The hardened profile: as Docker tells it, as the container sees it, and what it never contains.

use std::{path::Path, process::Command};

use bollard::{
    Docker as Client,
    models::{ContainerConfig, ContainerCreateBody, DeviceMapping, HostConfig},
    query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder},
};
use ocmt_runtime::{CellAddress, Observed, RuntimeError, docker::drift};

use crate::{
    conformance::{ask, hex, on, secret},
    docker, docker_with, import, url,
};

pub fn client() -> Client {
    Client::connect_with_unix(&url(), 60, bollard::API_DEFAULT_VERSION).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_ours_has_no_drift_whether_new_running_or_paused() {
    let docker = docker().await;
    let runtime = docker.runtime;
    on(docker.bench, async |bench| {
        let container = bench.runtime.create(&bench.spec()).await.unwrap();
        let inspect = client().inspect_container(&container.to_string(), None).await.unwrap();
        assert_eq!(drift::check(&inspect, &runtime.bounds()), []);
        bench.runtime.start(&container, &secret(1)).await.unwrap();
        assert_eq!(runtime.audit(&container).await.unwrap(), []);
        bench.runtime.pause(&container).await.unwrap();
        assert_eq!(runtime.audit(&container).await.unwrap(), []);
    })
    .await;
}

/// What holds under each runtime, whatever its kernel tells of itself.
pub async fn no_rights_and_no_writable_root(address: CellAddress) {
    let status = ask(address, "read /proc/self/status").await;
    for line in ["Uid:\\t1000\\t1000\\t1000\\t1000", "Gid:\\t1000\\t1000\\t1000\\t1000"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd"] {
        assert!(status.contains(&format!("{set}:\\t0000000000000000")), "{set} in {status}");
    }
    for place in ["/x", "/etc/x", "/ocmt-cell"] {
        assert!(ask(address, &format!("write {place}")).await.starts_with("Err"), "{place} is writable");
    }
    for place in ["/tmp/x", "/run/x", "/volume/x"] {
        assert_eq!(ask(address, &format!("write {place}")).await, "Ok(())", "{place}");
    }
    assert!(ask(address, "read /var/run/docker.sock").await.contains("NotFound"));
    assert_eq!(ask(address, "cwd").await, "Ok(\"/volume\")");
}

/// The profile as a container on this machine's kernel sees it.
pub async fn no_way_to_gain_rights(address: CellAddress) {
    no_rights_and_no_writable_root(address).await;
    let status = ask(address, "read /proc/self/status").await;
    for line in ["NoNewPrivs:\\t1", "Seccomp:\\t2", "CapAmb:\\t0000000000000000"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    let mounts = ask(address, "read /proc/mounts").await;
    for place in ["/tmp", "/run"] {
        let options = mounts
            .split("\\n")
            .find(|line| line.contains(&format!(" {place} tmpfs ")))
            .unwrap_or_else(|| panic!("{place} in {mounts}"));
        assert!(
            ["nosuid", "nodev", "noexec", "size="].iter().all(|option| options.contains(option)),
            "{options}"
        );
    }
    let root = mounts.trim_start_matches("Ok(\"").split("\\n").find(|line| line.contains(" / "));
    assert!(root.is_some_and(|line| line.contains(" ro,")), "the root in {mounts}");
    assert!(
        ask(address, "read /proc/self/limits")
            .await
            .contains("Max open files            8192                 8192")
    );
    assert!(ask(address, "read /sys/fs/cgroup/memory/memory.limit_in_bytes").await.contains("1610612736"));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_inside_there_are_no_rights_no_writable_root_and_no_way_to_gain_any() {
    on(docker().await.bench, async |bench| {
        let (_, address) = bench.started(&bench.spec(), &secret(1)).await;
        no_way_to_gain_rights(address).await;
    })
    .await;
}

/// The files below `folder` that hold one of `marks`, by `grep`: it reads what this process could not map.
fn files_with(folder: &Path, marks: &[String]) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args([
        "--recursive",
        "--binary-files=text",
        "--files-with-matches",
        "--fixed-strings",
        "--devices=skip",
    ]);
    marks.iter().for_each(|mark| {
        grep.args(["-e", mark]);
    });
    let found = grep.arg(folder).output().unwrap();
    String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_secret_is_nowhere_in_the_engine() {
    on(docker().await.bench, async |bench| {
        // letters only, so that it can be looked for as it is
        let bytes: [u8; 32] = std::array::from_fn(|at| {
            b'a' + u8::try_from((at * 7 + usize::from(bench.node.as_bytes()[at % 16])) % 26).unwrap()
        });
        let start = ocmt_types::Secret::new(bytes);
        let marks = [String::from_utf8(bytes.to_vec()).unwrap(), hex(&start)];
        let (container, address) = bench.started(&bench.spec(), &start).await;
        assert_eq!(ask(address, "secret").await, marks[1], "the cell has it");

        let inspect = client().inspect_container(&container.to_string(), None).await.unwrap();
        let inspect = serde_json::to_string(&inspect).unwrap();
        assert!(inspect.contains(&container.to_string()) && !marks.iter().any(|mark| inspect.contains(mark)));
        let root = client().info().await.unwrap().docker_root_dir.unwrap();
        assert_eq!(files_with(Path::new(&root), &marks), Vec::<String>::new());
        // the search itself finds what is there
        assert!(!files_with(Path::new(&root), &[container.container.to_string()]).is_empty());
        for process in ["environ", "cmdline"] {
            let seen = ask(address, &format!("read /proc/1/{process}")).await;
            assert!(!marks.iter().any(|mark| seen.contains(mark)), "{process}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_out_of_the_profile_is_found() {
    let docker = docker().await;
    let bounds = docker.runtime.bounds();
    on(docker.bench, async |bench| {
        let container = bench.runtime.create(&bench.spec()).await.unwrap();
        let good = client().inspect_container(&container.to_string(), None).await.unwrap();
        let found = |what: &str, change: &dyn Fn(&mut HostConfig)| {
            let mut bad = good.clone();
            change(bad.host_config.as_mut().unwrap());
            let drifts = drift::check(&bad, &bounds);
            assert!(!drifts.is_empty(), "{what} was not found");
        };
        found("capabilities kept", &|host| host.cap_drop = None);
        found("a capability added", &|host| host.cap_add = Some(vec!["NET_RAW".to_owned()]));
        found("seccomp off", &|host| {
            host.security_opt.as_mut().unwrap().push("seccomp=unconfined".to_owned());
        });
        found("new privileges", &|host| host.security_opt = None);
        found("privileged", &|host| host.privileged = Some(true));
        found("a writable root", &|host| host.readonly_rootfs = Some(false));
        found("an executable tmpfs", &|host| {
            host.tmpfs.as_mut().unwrap().insert("/tmp".to_owned(), "rw,nosuid,nodev,size=64m".to_owned());
        });
        found("no tmpfs", &|host| host.tmpfs = None);
        found("no memory limit", &|host| host.memory = Some(0));
        found("swap", &|host| host.memory_swap = Some(-1));
        found("no pids limit", &|host| host.pids_limit = None);
        found("more shares", &|host| host.cpu_shares = Some(4096));
        found("no ulimits", &|host| host.ulimits = None);
        found("endless logs", &|host| host.log_config.as_mut().unwrap().config = None);
        found("logs elsewhere", &|host| host.log_config.as_mut().unwrap().typ = Some("syslog".to_owned()));
        found("host pids", &|host| host.pid_mode = Some("host".to_owned()));
        found("host ipc", &|host| host.ipc_mode = Some("host".to_owned()));
        found("host uts", &|host| host.uts_mode = Some("host".to_owned()));
        found("host cgroups", &|host| host.cgroupns_mode = None);
        found("host network", &|host| host.network_mode = Some("host".to_owned()));
        found("another's network", &|host| host.network_mode = Some("container:other".to_owned()));
        found("a device", &|host| host.devices = Some(vec![DeviceMapping::default()]));
        found("the docker socket", &|host| host.binds = Some(vec!["/var/run/docker.sock:/d".to_owned()]));
        found("a published port", &|host| host.port_bindings = Some([("80/tcp".to_owned(), None)].into()));
        found("all ports", &|host| host.publish_all_ports = Some(true));
        found("docker's own resolver", &|host| host.dns = None);
        found("a loopback resolver", &|host| host.dns = Some(vec!["127.0.0.53".to_owned()]));
        found("unmasked paths", &|host| host.masked_paths = Some(Vec::new()));
        found("sysctls", &|host| {
            host.sysctls = Some([("net.ipv4.ip_forward".to_owned(), "1".to_owned())].into());
        });
        let mut leaky = good.clone();
        leaky.config.as_mut().unwrap().env = Some(vec!["PATH=/bin".to_owned(), "API_KEY=hunter2".to_owned()]);
        let drifts = drift::check(&leaky, &bounds);
        assert!(
            drifts.len() == 1
                && format!("{drifts:?}").contains("API_KEY")
                && !format!("{drifts:?}").contains("hunter2"),
            "{drifts:?}"
        );
        let mut root = good.clone();
        root.config.as_mut().unwrap().user = None;
        assert_eq!(drift::check(&root, &bounds).len(), 1);
        let mut elsewhere = good.clone();
        elsewhere.mounts.as_mut().unwrap()[0].source = Some("/".to_owned());
        assert_eq!(drift::check(&elsewhere, &bounds).len(), 1);
        let mut stranger = good.clone();
        stranger.config.as_mut().unwrap().labels = None;
        assert_eq!(drift::check(&stranger, &bounds)[0].item, "Labels");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_somebody_else_made_under_our_labels_is_found_out() {
    let docker = docker().await;
    let runtime = docker.runtime;
    on(docker.bench, async |bench| {
        let spec = bench.spec();
        let name = spec.container_ref().to_string();
        let body = ContainerCreateBody {
            image: Some(bench.image.to_string()),
            labels: Some(spec.labels(bench.node).to_map()),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        client().create_container(Some(options), body).await.unwrap();
        let inspect = client().inspect_container(&name, None).await.unwrap();
        let items: Vec<&str> =
            drift::check(&inspect, &runtime.bounds()).iter().map(|drift| drift.item).collect();
        for item in [
            "CapDrop",
            "SecurityOpt",
            "ReadonlyRootfs",
            "Memory",
            "PidsLimit",
            "NetworkMode",
            "Mounts",
            "StdinOnce",
        ] {
            assert!(items.contains(&item), "{item} is not in {items:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_listed_images_that_are_here_and_bring_no_volume_are_run() {
    let (other, missing) =
        (import(&["/ocmt-cell", "other"]).await, format!("sha256:{}", "0".repeat(64)).parse().unwrap());
    let voluminous = with_volume().await;
    let listed = [missing, voluminous];
    let docker = docker_with(|config| config.images.extend(listed.clone())).await;
    let [missing, voluminous] = listed;
    on(docker.bench, async |bench| {
        let with = |image: &ocmt_runtime::ImageRef| ocmt_runtime::ContainerSpec {
            image: image.clone(),
            ..bench.spec()
        };
        let refused = bench.runtime.create(&with(&other)).await;
        assert!(
            matches!(&refused, Err(RuntimeError::Refused(why)) if why.contains("not among")),
            "{refused:?}"
        );
        let refused = bench.runtime.create(&with(&voluminous)).await;
        assert!(
            matches!(&refused, Err(RuntimeError::Refused(why)) if why.contains("volumes")),
            "{refused:?}"
        );
        let refused = bench.runtime.create(&with(&missing)).await;
        assert!(matches!(&refused, Err(RuntimeError::ImageMissing(_))), "{refused:?}");
        assert_eq!(bench.runtime.list().await.unwrap(), Vec::<Observed>::new());
    })
    .await;
}

/// An image that declares a volume: committed from a container, since an import of ours cannot say so.
async fn with_volume() -> ocmt_runtime::ImageRef {
    let image = import(&["/ocmt-cell"]).await;
    let body = ContainerCreateBody { image: Some(image.to_string()), ..Default::default() };
    let made = client().create_container(None, body).await.unwrap();
    let commit = bollard::query_parameters::CommitContainerOptionsBuilder::new()
        .container(&made.id)
        .changes("VOLUME /anywhere")
        .build();
    let id = client().commit_container(commit, ContainerConfig::default()).await.unwrap().id;
    client()
        .remove_container(&made.id, Some(RemoveContainerOptionsBuilder::new().v(true).build()))
        .await
        .unwrap();
    id.parse().unwrap()
}
