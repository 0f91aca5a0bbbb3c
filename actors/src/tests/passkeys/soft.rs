//! An authenticator in software: what a telephone or a key on a ring does, and what a bad one would.

use data_encoding::BASE64URL_NOPAD;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::tests::kit::PUBLIC_URL;

const USER_PRESENT: u8 = 0x01;
pub(super) const USER_VERIFIED: u8 = 0x04;
const WITH_KEY: u8 = 0x40;

/// With one passkey.
pub(super) struct Soft {
    key: SigningKey,
    id: Vec<u8>,
    user: Vec<u8>,
    /// What it says of its uses; 0 of one that does not count.
    pub(super) counter: u32,
    pub(super) origin: String,
    pub(super) rp_id: String,
    pub(super) flags: u8,
}

impl Soft {
    pub(super) fn new(n: u8) -> Self {
        Self {
            key: SigningKey::from_slice(&[n; 32]).unwrap(),
            id: vec![n; 32],
            user: Vec::new(),
            counter: 0,
            origin: PUBLIC_URL.to_owned(),
            rp_id: "ocmt.example.org".to_owned(),
            flags: USER_PRESENT | USER_VERIFIED,
        }
    }

    /// Makes a passkey.
    pub(super) fn make(&mut self, options: &[u8]) -> Vec<u8> {
        let options: Value = serde_json::from_slice(options).unwrap();
        let user = options["user"]["id"].as_str().unwrap();
        self.user = BASE64URL_NOPAD.decode(user.as_bytes()).unwrap();
        let client = self.client_data("webauthn.create", &options);
        let mut data = self.authenticator_data(self.flags | WITH_KEY);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose());
        // {"fmt": "none", "attStmt": {}, "authData": data}
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".to_vec();
        attestation.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        attestation.extend(data);
        let response = json!({ "attestationObject": text(&attestation), "clientDataJSON": text(&client) });
        self.answer(&response)
    }

    /// Shows it.
    pub(super) fn show(&mut self, options: &[u8]) -> Vec<u8> {
        let options: Value = serde_json::from_slice(options).unwrap();
        if self.counter > 0 {
            self.counter += 1;
        }
        let client = self.client_data("webauthn.get", &options);
        let data = self.authenticator_data(self.flags);
        let signed = [data.as_slice(), &Sha256::digest(&client)].concat();
        let signature: Signature = self.key.sign(&signed);
        let response = json!({
            "authenticatorData": text(&data),
            "clientDataJSON": text(&client),
            "signature": text(signature.to_der().as_bytes()),
            "userHandle": text(&self.user),
        });
        self.answer(&response)
    }

    /// The same passkey in another's hands, as it was.
    pub(super) fn copied(&self) -> Self {
        Self {
            key: self.key.clone(),
            id: self.id.clone(),
            user: self.user.clone(),
            origin: self.origin.clone(),
            rp_id: self.rp_id.clone(),
            ..*self
        }
    }

    /// Says that it is another user's.
    pub(super) fn of_user(&self, user: &[u8]) -> Self {
        Self { user: user.to_vec(), ..self.copied() }
    }

    fn answer(&self, response: &Value) -> Vec<u8> {
        let id = text(&self.id);
        let answer = json!({ "id": id, "rawId": id, "type": "public-key", "response": response,
            "clientExtensionResults": {} });
        serde_json::to_vec(&answer).unwrap()
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let data = json!({ "type": kind, "challenge": options["challenge"], "origin": self.origin,
            "crossOrigin": false });
        serde_json::to_vec(&data).unwrap()
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = Sha256::digest(self.rp_id.as_bytes()).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// The public key, as COSE writes it: EC2, ES256, P-256.
    fn cose(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_sec1_point(false);
        let mut key = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".to_vec();
        key.extend(point.x().unwrap());
        key.extend(b"\x22\x58\x20");
        key.extend(point.y().unwrap());
        key
    }
}

fn text(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}
