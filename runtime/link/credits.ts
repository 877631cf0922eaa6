/** What one end of a link may still send, and what it owes the other end for what it has taken in. */

/** Sent and not yet taken in: the window is the lag that a flood makes on the other side. */
const WINDOW_MESSAGES = 1_024;
const WINDOW_BYTES = 8 * 1_024 * 1_024;

export interface Credit {
  readonly messages: number;
  readonly bytes: number;
}

export class Credits {
  #inFlightMessages = 0;
  #inFlightBytes = 0;
  #takenMessages = 0;
  #takenBytes = 0;

  /** So many messages may leave now. */
  get left(): number {
    return this.#inFlightBytes >= WINDOW_BYTES ? 0 : WINDOW_MESSAGES - this.#inFlightMessages;
  }

  sent(messages: number, bytes: number): void {
    this.#inFlightMessages += messages;
    this.#inFlightBytes += bytes;
  }

  cameBack({ messages, bytes }: Credit): void {
    this.#inFlightMessages -= messages;
    this.#inFlightBytes -= bytes;
  }

  taken(messages: number, bytes: number): void {
    this.#takenMessages += messages;
    this.#takenBytes += bytes;
  }

  /** A part of the window that is worth a message. */
  get isDue(): boolean {
    return this.#takenMessages >= WINDOW_MESSAGES / 4 || this.#takenBytes >= WINDOW_BYTES / 4;
  }

  /** For all that was taken in and not given back yet. */
  give(): Credit {
    const credit = { messages: this.#takenMessages, bytes: this.#takenBytes };
    this.#takenMessages = 0;
    this.#takenBytes = 0;
    return credit;
  }

  /** Messages sent for which no credit has come back, and those taken in for which none has been given. */
  get owed(): { readonly toThis: number; readonly toPeer: number } {
    return { toThis: this.#inFlightMessages, toPeer: this.#takenMessages };
  }
}
