/** How many messages go into a frame: as many as their size of late lets fit. */

const MOST_MESSAGES = 256;
/** A larger frame has left the processor's cache before it is read. */
const FULL_BYTES = 32_768;

export class FrameSize {
  messages = MOST_MESSAGES;

  sent(count: number, bytes: number): void {
    if (bytes > FULL_BYTES) {
      this.messages = Math.max(1, Math.floor((count * FULL_BYTES) / bytes));
    } else if (bytes * 2 < FULL_BYTES && count === this.messages) {
      this.messages = Math.min(MOST_MESSAGES, count * 2);
    }
  }
}
