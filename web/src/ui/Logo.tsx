/** Muster's mark; the name always stands beside it. */

export function Logo() {
  return <img className="logo" src="/favicon.svg" alt="" width="26" height="26" />;
}
