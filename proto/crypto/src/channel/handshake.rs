//! From a Hello to keys: HPKE in Auth mode, 32 fresh bytes of the cell, and one HKDF over both.

use hkdf::Hkdf;
use hpke::{Deserializable as _, OpModeR, OpModeS, Serializable as _, setup_receiver, setup_sender_with_rng};
use ocmt_types::{ChannelId, ContainerId, TenantId, UnlockId};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    CryptoError, Result,
    codec::Writer,
    mac,
    seal::{Aead, Kdf, Kem, SealPublicKey, SealSecretKey},
};

use super::{StreamKind, wire};

const INFO: &[u8] = b"OCMT channel v1";
const EXPORT: &[u8] = b"OCMT channel v1 exporter";

/// Which unlock of which cell a channel belongs to. Both sides must agree on all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelPlace {
    /// The tenant.
    pub tenant: TenantId,
    /// The container.
    pub container: ContainerId,
    /// Its generation: grows with each creation of the container.
    pub generation: u64,
    /// The unlock, from the payload.
    pub unlock: UnlockId,
}

impl ChannelPlace {
    fn info(&self, channel: ChannelId) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.fixed(INFO).fixed(self.tenant.as_bytes()).fixed(self.container.as_bytes());
        writer.u64(self.generation).fixed(self.unlock.as_bytes()).fixed(channel.as_bytes());
        writer.into_vec()
    }
}

/// The keys of one channel. `client` and `cell` name the sender.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Keys {
    pub(super) client_record: [u8; 32],
    pub(super) cell_record: [u8; 32],
    pub(super) client_control: [u8; 32],
    pub(super) cell_control: [u8; 32],
    client_confirm: [u8; 32],
    cell_confirm: [u8; 32],
    transcript: [u8; 32],
}

impl Keys {
    pub(super) fn derive(exporter: &[u8; 32], hello: &[u8], fresh: &[u8; 32]) -> Result<Self> {
        let transcript = transcript(hello, fresh);
        let mut secret = Zeroizing::new(Vec::with_capacity(64));
        secret.extend_from_slice(exporter);
        secret.extend_from_slice(fresh);
        let hkdf = Hkdf::<Sha256>::new(Some(&transcript), &secret);
        let expand = |label: &[u8]| {
            let mut key = [0; 32];
            hkdf.expand(label, &mut key).map_err(|_| CryptoError::Refused).map(|()| key)
        };
        Ok(Self {
            client_record: expand(b"OCMT channel v1 client record")?,
            cell_record: expand(b"OCMT channel v1 cell record")?,
            client_control: expand(b"OCMT channel v1 client control")?,
            cell_control: expand(b"OCMT channel v1 cell control")?,
            client_confirm: expand(b"OCMT channel v1 client confirm")?,
            cell_confirm: expand(b"OCMT channel v1 cell confirm")?,
            transcript,
        })
    }

    pub(super) fn client_confirms(&self) -> [u8; wire::MAC] {
        mac::tag(&self.client_confirm, &self.transcript)
    }

    pub(super) fn cell_confirms(&self) -> [u8; wire::MAC] {
        mac::tag(&self.cell_confirm, &self.transcript)
    }

    pub(super) fn check_client(&self, tag: &[u8; wire::MAC]) -> Result<()> {
        mac::check(&self.client_confirm, &self.transcript, tag)
    }

    pub(super) fn check_cell(&self, tag: &[u8; wire::MAC]) -> Result<()> {
        mac::check(&self.cell_confirm, &self.transcript, tag)
    }
}

/// What the client keeps between Hello and Accept.
pub(super) struct Pending {
    hello: Vec<u8>,
    exporter: Zeroizing<[u8; 32]>,
}

impl Pending {
    pub(super) fn keys(&self, fresh: &[u8; 32]) -> Result<Keys> {
        Keys::derive(&self.exporter, &self.hello, fresh)
    }
}

/// Makes a Hello: the client's side.
pub(super) fn hello(
    place: &ChannelPlace,
    channel: ChannelId,
    cell: &SealPublicKey,
    own: &SealSecretKey,
    stream: &StreamKind,
    rng: &mut impl rand::CryptoRng,
) -> Result<(Pending, Vec<u8>)> {
    let mode = OpModeS::<Kem>::Auth((own.hpke()?, own.public().hpke()?));
    let (enc, mut sender) =
        setup_sender_with_rng::<Aead, Kdf, Kem>(&mode, &cell.hpke()?, &place.info(channel), rng)
            .map_err(|_| CryptoError::Refused)?;
    let mut frame = wire::hello_head(channel);
    let sealed = sender.seal(&stream.encode()?, &frame).map_err(|_| CryptoError::Refused)?;
    let mut exporter = Zeroizing::new([0; 32]);
    sender.export(EXPORT, exporter.as_mut_slice()).map_err(|_| CryptoError::Refused)?;
    frame.extend_from_slice(&enc.to_bytes());
    frame.extend_from_slice(&sealed);
    Ok((Pending { hello: frame.clone(), exporter }, frame))
}

/// Opens a Hello: the cell's side. Only the user's channel key makes one that opens.
pub(super) fn answer(
    place: &ChannelPlace,
    own: &SealSecretKey,
    user: &SealPublicKey,
    hello: &[u8],
    fresh: &[u8; 32],
) -> Result<(StreamKind, Keys)> {
    let wire::Frame::Hello { channel, enc, sealed } = wire::Frame::parse(hello)? else {
        return Err(CryptoError::Refused);
    };
    let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(&enc).map_err(|_| CryptoError::Refused)?;
    let mode = OpModeR::<Kem>::Auth(user.hpke()?);
    let mut receiver = setup_receiver::<Aead, Kdf, Kem>(&mode, &own.hpke()?, &enc, &place.info(channel))
        .map_err(|_| CryptoError::Refused)?;
    let head = hello.get(..wire::HELLO_HEAD).ok_or(CryptoError::Refused)?;
    let stream = receiver.open(sealed, head).map_err(|_| CryptoError::Refused)?;
    let mut exporter = Zeroizing::new([0; 32]);
    receiver.export(EXPORT, exporter.as_mut_slice()).map_err(|_| CryptoError::Refused)?;
    Ok((StreamKind::decode(&stream)?, Keys::derive(&exporter, hello, fresh)?))
}

fn transcript(hello: &[u8], fresh: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"OCMT channel v1 transcript");
    hash.update(Sha256::digest(hello));
    hash.update(fresh);
    hash.finalize().into()
}
