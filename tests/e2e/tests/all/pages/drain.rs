//! A drain at the console of a cluster of two real nodes: one tab has it done, and another shows how it goes on by itself.

use ocmt_cluster_tests::{cluster::Cluster, network::Ground};
use ocmt_testkit::bearer::Bearer;

use super::{
    ENGLISH,
    browser::{Browser, Habits},
};

const BY_KEYS: Habits = Habits { language: "de", dark: true, keyboard: true };
const PEOPLE: [&str; 2] = ["ada", "grace"];

/// What a page says of a node.
fn is(node: &str, what: &str) -> String {
    format!("document.querySelector('[data-node=\"{node}\"] [data-is={what}]').textContent")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_drained_gives_its_tenants_to_the_other_and_the_page_says_so_by_itself() {
    let cluster = Cluster::start_on(Ground::Machine, 2, |_| ()).await.unwrap();
    let bearer = Bearer::start(&cluster.operator_files(), cluster.operators_at(0)).await.unwrap();
    for name in PEOPLE {
        cluster.account(name, 0).await.unwrap();
    }
    let mut ids = Vec::new();
    for node in 0..2 {
        ids.push(cluster.living(node).await.unwrap().unwrap().id());
    }
    for (from, habits) in [ENGLISH, BY_KEYS].into_iter().enumerate() {
        let to = 1 - from;
        let browser = Browser::start(habits).await;
        let watches = browser.tab().await;
        browser.go(&format!("{}/console/nodes", bearer.origin)).await;
        browser.until("!document.querySelector('#live').hidden").await;
        browser.until(&format!("{} === '2'", is(&ids[from], "tenants"))).await;
        browser.run("window.loaded = 'once'").await;
        let acts = browser.tab().await;
        drain(&browser, &bearer.origin, &ids[from]).await;
        browser.to_tab(&watches).await;
        let given = format!("{} === '0'", is(&ids[from], "tenants"));
        let differ = format!("{} !== {}", is(&ids[from], "state"), is(&ids[to], "state"));
        browser.until(&format!("{given} && {differ}")).await;
        // whoever comes is served by the other one, which has the tenants from then on
        for name in PEOPLE {
            let client = cluster.sign_in(&format!("{name}@cluster.example"), to).await.unwrap();
            client.who_am_i().await.unwrap();
        }
        browser.until(&format!("{given} && {} === '2'", is(&ids[to], "tenants"))).await;
        browser.look("console-drained").await;
        browser.to_tab(&acts).await;
        resume(&browser, &ids[from]).await;
        browser.to_tab(&watches).await;
        browser.until(&format!("{} === {}", is(&ids[from], "state"), is(&ids[to], "state"))).await;
        assert_eq!(browser.run("return window.loaded").await, "once", "somebody has loaded the page again");
        browser.end().await;
    }
}

/// From the node's page, over the page that asks whether it is meant.
async fn drain(browser: &Browser, origin: &str, node: &str) {
    browser.go(&format!("{origin}/console/nodes/{node}")).await;
    browser.tap("main a[href$='/drain']").await;
    browser.tap("main form button").await;
    browser.until(&format!("location.pathname === '/console/nodes/{node}'")).await;
    browser.until("document.querySelector(\"main a[href$='/resume']\")").await;
    browser.until("!document.querySelector('#live').hidden").await;
    browser.look("console-draining").await;
}

async fn resume(browser: &Browser, node: &str) {
    browser.tap("main a[href$='/resume']").await;
    browser.tap("main form button").await;
    browser.until(&format!("location.pathname === '/console/nodes/{node}'")).await;
    browser.until("document.querySelector(\"main a[href$='/drain']\")").await;
}
