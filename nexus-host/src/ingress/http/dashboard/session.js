// Who is signed in: holds the key, in memory, and in this tab's storage if somebody has ticked that. It goes into one
// header of requests to this hub, and nowhere else.

const PLACE = "nexus-admin-key";

let key = sessionStorage.getItem(PLACE);

/** Whether there is a key. */
export function hasKey() {
  return key !== null;
}

/** Takes a key, and keeps it until the tab is closed if that is wanted. */
export function signIn(given, isKept) {
  key = given;
  if (isKept) sessionStorage.setItem(PLACE, given);
  else sessionStorage.removeItem(PLACE);
}

/** Forgets the key. */
export function signOut() {
  key = null;
  sessionStorage.removeItem(PLACE);
}

/** The header that shows it. */
export function credentials() {
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}
