Console.WriteLine("AgentFlow");
