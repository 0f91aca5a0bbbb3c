//! What each rule has to find (`ruleid`) and to leave alone (`ok`): read by `semgrep --test`, never compiled.

fn shells(name: &str) {
    // ruleid: no-shell
    Command::new("sh").arg(name);
    // ruleid: no-shell
    std::process::Command::new("bash").arg(name);
    // ruleid: no-shell
    Command::new(name).arg("-c");
    // ok: no-shell
    Command::new("iptables").args(["-t", "filter"]);
}

fn logs(session: &Session) {
    // ruleid: no-secret-in-a-log
    tracing::info!("signed in", token);
    // ruleid: no-secret-in-a-log
    warn!("refused {}", session.passphrase);
    // ok: no-secret-in-a-log
    info!("signed in {}", session.id);
}

async fn writes(pool: &Pool, id: &str) {
    // ruleid: no-unfenced-write
    sqlx::query("DELETE FROM vaults").execute(pool).await;
    // ruleid: no-sql-made-of-text, no-unfenced-write
    sqlx::query(&format!("DELETE FROM vaults WHERE id = '{id}'")).execute(pool).await;
    // ok: no-unfenced-write
    tx.put(&row).await;
}

fn tls(builder: Builder) {
    // ruleid: no-unchecked-tls
    builder.danger_accept_invalid_certs(true);
    // ruleid: no-unchecked-tls
    config.dangerous().set_certificate_verifier(any);
    // ok: no-unchecked-tls
    builder.add_root_certificate(ca);
}

fn compares(given: &[u8], held: &Held) -> bool {
    // ruleid: no-comparison-of-secrets-by-equals
    given == held.token_hash;
    // ok: no-comparison-of-secrets-by-equals
    given.len() == 32
}
