// What is refused, as an Error with a class of failure and a sentence.
export class Wrong extends Error {
  // `kind`: "data" where the key file, its passphrase or its end is at fault, "usage" where the request is; the command
  // has some of its own.
  constructor(kind, sentence) {
    super(sentence);
    this.kind = kind;
  }
}

export function check(good, kind, sentence) {
  if (!good) throw new Wrong(kind, sentence);
}
