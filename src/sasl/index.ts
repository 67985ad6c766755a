import type { Mechanism } from './mechanism.ts';
import { plain } from './plain.ts';

/** Every SASL mechanism we speak, the strongest first. */
export const MECHANISMS: readonly Mechanism[] = [plain];
