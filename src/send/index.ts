import type { Send } from '../probe/world.ts';
import { sendByEws } from './ews.ts';
import { sendByGraph } from './graph.ts';
import { prepareSmtp } from './smtp.ts';

/** The `send` port: each way of sending by its name. */
export const send: Send = async (plan) => {
  switch (plan.via) {
    case 'smtp':
      return await prepareSmtp(plan);
    case 'ews':
    case 'ews-save':
      return (message) => sendByEws(message, plan);
    case 'graph':
      return (message) => sendByGraph(message, plan);
  }
};
