/**
 * What comes in: the relay's offers are answered, and tracks belong to whose publications they are.
 *
 * Part of telerelay.js; touches the receiving RTCPeerConnection of its call.
 */

export class Incoming {
  #call;
  #wires;
  #session = null; // of the relay's offers: another one is another connection
  #offers = Promise.resolve();
  #unanswered = null; // the answer that the relay has not confirmed
  #received = new Map(); // mid -> {participant, publication, track, stream}

  /** `wires`: what the call has to do with it: `connections`, `connect`, `drop`, `roster`, `emit`, `request`, `fail`. */
  constructor(call, wires) {
    this.#call = call;
    this.#wires = wires;
  }

  /** An offer of the relay's; they are answered one after the other. */
  take(message) {
    this.#learnTracks(message.tracks);
    this.#offers = this.#offers.then(() => this.#answer(message)).catch((error) => this.#wires.fail(error));
  }

  async #answer({ offer_id, sdp, tracks }) {
    if (this.#call.state === "ended") return;
    if (this.#unanswered?.offer_id === offer_id && sdp === this.#unanswered.offer) return this.#sendAnswer();
    // Another session is another connection at the relay: ours begins anew with it.
    const session = /^o=\S+ (\d+)/m.exec(sdp)?.[1];
    if (this.#wires.connections.subscribe && session !== this.#session) this.#wires.drop("subscribe");
    this.#session = session;
    const pc = this.#wires.connect("subscribe");
    try {
      await pc.setRemoteDescription({ type: "offer", sdp });
      const answer = await pc.createAnswer();
      await pc.setLocalDescription(answer);
      if (pc !== this.#wires.connections.subscribe) return;
      this.#bindTracks(pc, tracks);
      this.#unanswered = { offer_id, offer: sdp, sdp: answer.sdp };
    } catch (error) {
      if (pc !== this.#wires.connections.subscribe) return; // closed under our hands
      throw error;
    }
    await this.#sendAnswer();
  }

  /** Say again what the relay has not confirmed: a lost socket may have swallowed it. */
  sendAgain() {
    if (this.#unanswered) this.#sendAnswer();
  }

  /** Nothing comes of it any more. */
  endOf(publication) {
    for (const [mid, received] of this.#received) if (received.publication === publication) this.#endTrack(mid);
  }

  /** The connection is gone, and all that came over it. */
  drop() {
    this.#session = null;
    this.#unanswered = null;
    for (const mid of [...this.#received.keys()]) this.#endTrack(mid);
  }

  /** Which of it an entry of the browser's counts is about: {participant, publication, track, stream} or null. */
  of({ mid, trackIdentifier }) {
    const isIt = ({ track }) => track.id === trackIdentifier;
    return this.#received.get(mid) ?? [...this.#received.values()].find(isIt) ?? null;
  }

  async #sendAnswer() {
    const { offer_id, sdp } = this.#unanswered;
    try {
      await this.#wires.request("answer", { offer_id, sdp });
    } catch (error) {
      if (error.code === "no_network") return; // said again after the next join
      // "bad_message" is a stale offer_id: said twice, or the relay has begun anew.
      if (error.code !== "bad_message") this.#wires.fail(error);
    }
    if (this.#unanswered?.offer_id === offer_id) this.#unanswered = null;
  }

  /** What an offer says of its publications holds when it comes; once it is answered, later events may have changed it. */
  #learnTracks(tracks) {
    for (const { participant: id, publication, kind, source, muted } of tracks) {
      const participant = this.#call.participants.get(id);
      if (participant) this.#wires.roster.add(participant, { id: publication, kind, source, muted });
    }
  }

  #bindTracks(pc, tracks) {
    const byMid = new Map(tracks.map((track) => [track.mid, track]));
    for (const [mid, received] of [...this.#received]) {
      if (byMid.get(mid)?.publication !== received.publication.id) this.#endTrack(mid);
    }
    const transceivers = new Map(pc.getTransceivers().map((transceiver) => [transceiver.mid, transceiver]));
    for (const [mid, info] of byMid) {
      const track = transceivers.get(mid)?.receiver.track;
      const participant = this.#call.participants.get(info.participant);
      const publication = participant?.publications.get(info.publication);
      if (!track || !publication || this.#received.has(mid)) continue; // taken back while we were answering
      const { kind, source } = info;
      // Camera and microphone belong together; whatever else comes (a screen) is a picture of its own.
      const stream = /^(camera|microphone)$/.test(source) ? participant.stream : new MediaStream();
      stream.addTrack(track);
      Object.assign(publication, { track, stream, refused: null });
      this.#received.set(mid, { participant, publication, track, stream });
      this.#wires.emit("track", { participant, publication, kind, source, track, stream });
    }
  }

  #endTrack(mid) {
    const { participant, publication, track, stream } = this.#received.get(mid);
    this.#received.delete(mid);
    stream.removeTrack(track);
    Object.assign(publication, { track: null, stream: null, stalled: false });
    const { kind, source } = publication;
    this.#wires.emit("trackended", { participant, publication, kind, source, track, stream });
  }
}
