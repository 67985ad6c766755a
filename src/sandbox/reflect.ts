/**
 * The three functions of the Reflect metadata proposal that tsyringe, inside @peculiar/x509, asks for while it is
 * loaded. Import this file before it. A real polyfill that is already there is left alone.
 */
const metadata = new WeakMap<object, Map<unknown, unknown>>();

function defineMetadata(key: unknown, value: unknown, target: object): void {
  const entries = metadata.get(target) ?? new Map<unknown, unknown>();
  metadata.set(target, entries.set(key, value));
}

function getOwnMetadata(key: unknown, target: object): unknown {
  return metadata.get(target)?.get(key);
}

function getMetadata(key: unknown, target: object | null): unknown {
  if (target === null) return undefined;
  return metadata.get(target)?.has(key)
    ? getOwnMetadata(key, target)
    : getMetadata(key, Reflect.getPrototypeOf(target));
}

for (const [name, value] of Object.entries({ defineMetadata, getOwnMetadata, getMetadata })) {
  if (!Reflect.has(Reflect, name)) Reflect.defineProperty(Reflect, name, { value, configurable: true, writable: true });
}
