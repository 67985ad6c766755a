/**
 * Does something with each of many things, a few at a time. The first that fails ends it: no other is begun.
 *
 * @param most how many at a time
 * @throws what the first one threw, once those under way have ended
 */
export async function eachOf<T>(things: readonly T[], most: number, act: (thing: T) => Promise<void>): Promise<void> {
  const waiting = things[Symbol.iterator]();
  let trouble: { readonly problem: unknown } | null = null;
  const worker = async (): Promise<void> => {
    for (let next = waiting.next(); next.done !== true && trouble === null; next = waiting.next()) {
      try {
        await act(next.value);
      } catch (problem) {
        trouble ??= { problem };
      }
    }
  };
  await Promise.all(Array.from({ length: most }, worker));
  if (trouble !== null) throw (trouble as { readonly problem: unknown }).problem;
}
