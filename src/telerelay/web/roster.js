/**
 * Who is in the room, what each of them publishes, and what the relay says of it.
 *
 * Part of telerelay.js; touches nothing but its call's `participants` and `publications`.
 */

export class Roster {
  #call;
  #wires;

  /** `wires`: what the call has to do with it: `incoming`, `looking`, `emit`. */
  constructor(call, wires) {
    this.#call = call;
    this.#wires = wires;
  }

  /** Make the list of the others what the relay says it is. */
  meet(others, isFirst) {
    const ids = new Set(others.map(({ id }) => id));
    for (const participant of [...this.#call.participants.values()]) {
      if (!ids.has(participant.id)) this.dismiss(participant, "left");
    }
    for (const other of others) this.welcome(other, isFirst);
  }

  /** Somebody is there, or is there as before with what is listed now. */
  welcome({ id, sub, role, interrupted = false, publications = [] }, isSilent = false) {
    if (id === this.#call.id) return;
    let participant = this.#call.participants.get(id);
    if (!participant) {
      participant = { id, sub, role, interrupted, publications: new Map(), stream: new MediaStream() };
      this.#call.participants.set(id, participant);
      for (const info of publications) participant.publications.set(info.id, this.#publicationOf(info));
      if (!isSilent) this.#wires.emit("participantjoined", { participant });
      return;
    }
    const listed = new Set(publications.map((info) => info.id));
    for (const publication of [...participant.publications.values()]) {
      if (!listed.has(publication.id)) this.remove(participant, publication);
    }
    for (const info of publications) this.add(participant, info);
    this.setInterrupted(participant, interrupted);
  }

  /** Somebody is gone, and all that was published. */
  dismiss(participant, reason) {
    for (const publication of [...participant.publications.values()]) this.remove(participant, publication);
    this.#call.participants.delete(participant.id);
    for (const own of this.#call.publications) this.setSeen(own, participant.id, true);
    this.#wires.emit("participantleft", { participant, reason });
  }

  setInterrupted(participant, interrupted) {
    if (participant.interrupted === interrupted) return;
    participant.interrupted = interrupted;
    this.#wires.emit(interrupted ? "participantinterrupted" : "participantback", { participant });
  }

  /** A publication, or what an offer says of one that is known. */
  add(participant, info) {
    const known = participant.publications.get(info.id);
    if (known) {
      this.setMuted(participant, known, info.muted, info.reason);
      return known;
    }
    const publication = this.#publicationOf(info);
    participant.publications.set(info.id, publication);
    this.#wires.emit("published", { participant, publication });
    return publication;
  }

  remove(participant, publication) {
    participant.publications.delete(publication.id);
    this.#wires.incoming.endOf(publication);
    this.#wires.emit("unpublished", { participant, publication });
  }

  /** As the relay tells it, with room for what comes of it. A client that gives no reason was asked to mute. */
  #publicationOf({ reason = "user", ...info }) {
    const nothing = { stalled: false, paused: null, refused: null, track: null, stream: null };
    return { ...info, reason: info.muted ? reason : null, ...nothing };
  }

  /** An offer says whether, not why; then the reason we know stays. */
  setMuted(participant, publication, muted = false, given = undefined) {
    const reason = muted ? (given ?? publication.reason ?? "user") : null;
    if (publication.muted === muted && publication.reason === reason) return;
    Object.assign(publication, { muted, reason });
    this.#wires.emit(muted ? "muted" : "unmuted", { participant, publication, reason });
  }

  ownOf(id) {
    return this.#call.publications.find((own) => own.id === id) ?? null;
  }

  /** Signs are not kept for who is away: after each join the relay says again what is. */
  forgetSigns() {
    for (const { publications } of this.#call.participants.values()) {
      for (const { id, paused } of publications.values()) if (paused) this.setPaused(id, null);
    }
    for (const own of this.#call.publications) for (const id of [...own.unseenBy]) this.setSeen(own, id, true);
  }

  /** The relay will not send us that publication: "forbidden", "no_common_codec". */
  refuse(id, code) {
    const participant = this.#publisherOf(id);
    if (participant) participant.publications.get(id).refused = code;
    this.#wires.emit("refused", { publication: id, code, participant });
  }

  #publisherOf(id) {
    return [...this.#call.participants.values()].find(({ publications }) => publications.has(id)) ?? null;
  }

  /** `reason`: why the relay sends nothing of it, "line" or "unwanted"; null: it does. */
  setPaused(id, reason) {
    const participant = this.#publisherOf(id);
    const publication = participant?.publications.get(id);
    if (!publication || publication.paused === reason) return;
    const before = publication.paused;
    publication.paused = reason;
    this.#wires.looking.mark(publication);
    const state = reason ? "paused" : "live";
    this.#wires.emit("trackstate", { participant, publication, state, reason: reason ?? before });
  }

  /** Whether the relay sends one's own publication to that participant. */
  setSeen(own, id, isSeen) {
    if (!own || own.unseenBy.has(id) !== isSeen) return;
    if (isSeen) own.unseenBy.delete(id);
    else own.unseenBy.add(id);
    const participant = this.#call.participants.get(id) ?? null;
    this.#wires.emit("seenby", { publication: own, participant, state: isSeen ? "live" : "paused" });
  }
}
