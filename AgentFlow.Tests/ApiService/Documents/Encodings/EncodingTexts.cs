using System.Text;

namespace AgentFlow.Tests.ApiService.Documents.Encodings;

/// <summary>Ordinary sentences of several languages, and the encodings that such texts were kept in before Unicode.</summary>
internal static class EncodingTexts
{
    /// <param name="Language">Its name in English.</param>
    /// <param name="Text">Some 300 to 900 characters in sentences.</param>
    /// <param name="CodePages">Those that can hold it.</param>
    public sealed record Sample(string Language, string Text, params int[] CodePages);

    public static readonly IReadOnlyList<Sample> All =
    [
        new("Russian", "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства. Договор аренды заключён на срок двенадцать месяцев и продлевается по соглашению сторон. Скорость поезда зависит от состояния пути: после дождя машинист обязан снизить её до сорока километров в час. Где можно найти инструкцию к насосу? Она лежит в ящике стола, рядом с ключами.", 1251, 20866, 866, 28595),
        new("Ukrainian", "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені розумом і совістю і повинні діяти у відношенні один до одного в дусі братерства. Договір оренди укладено на дванадцять місяців, його продовжують за згодою сторін. Швидкість потяга залежить від стану колії, а після дощу її зменшують.", 1251, 21866),
        new("Bulgarian", "Всички хора се раждат свободни и равни по достойнство и права. Те са надарени с разум и съвест и следва да се отнасят помежду си в дух на братство. Договорът за наем се сключва за срок от дванадесет месеца и може да бъде удължен по взаимно съгласие. Скоростта на влака зависи от състоянието на железния път.", 1251, 28595),
        new("Serbian", "Сва људска бића рађају се слободна и једнака у достојанству и правима. Она су обдарена разумом и свешћу и треба једни према другима да поступају у духу братства. Уговор о закупу важи дванаест месеци и продужава се уз сагласност обе стране.", 1251, 28595),
        new("Greek", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι προικισμένοι με λογική και συνείδηση, και οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα αδελφοσύνης. Το συμβόλαιο ισχύει για δώδεκα μήνες και ανανεώνεται με τη συμφωνία των δύο μερών. Η ταχύτητα του τρένου εξαρτάται από την κατάσταση της γραμμής.", 1253, 28597),
        new("Hebrew", "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. כולם חוננו בתבונה ובמצפון, לפיכך חובה עליהם לנהוג איש ברעהו ברוח של אחווה. חוזה השכירות נחתם לתקופה של שנים עשר חודשים וניתן להאריך אותו בהסכמת הצדדים. מהירות הרכבת תלויה במצב המסילה.", 1255),
        new("Arabic", "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا بروح الإخاء. مدة عقد الإيجار اثنا عشر شهرا ويمكن تجديده باتفاق الطرفين. تعتمد سرعة القطار على حالة السكة، ويجب تخفيضها بعد المطر.", 1256, 28596),
        new("Thai", "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม และควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ สัญญาเช่ามีอายุสิบสองเดือนและต่ออายุได้เมื่อทั้งสองฝ่ายตกลงกัน ความเร็วของรถไฟขึ้นอยู่กับสภาพของราง", 874),
        new("Japanese", "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。賃貸契約の期間は十二か月とし、双方の合意により更新することができます。列車の速度は線路の状態によって決まり、雨の後は必ず減速してください。ポンプの説明書はどこにありますか。机の引き出しの中、カギの隣です。", 932, 51932, 50220),
        new("Japanese, technical", "サーバーの設定ファイルを変更した場合は、サービスを再起動する必要があります。エラーが発生したときは、ログを確認してください。データベースへの接続が失敗する原因として、ネットワークの障害やパスワードの誤りが考えられます。バックアップは毎日午前三時に実行されます。", 932, 51932, 50220),
        new("Simplified Chinese", "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。租赁合同的期限为十二个月，经双方同意可以续签。列车的速度取决于轨道的状况，雨后司机必须减速到每小时四十公里。水泵的说明书在哪里？在桌子的抽屉里，钥匙旁边。如果服务器不能连接数据库，请检查网络和密码，然后查看日志文件中的错误信息。", 54936),
        new("Traditional Chinese", "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心，並應以兄弟關係的精神相對待。租賃合約的期限為十二個月，經雙方同意可以續約。列車的速度取決於軌道的狀況，雨後司機必須減速到每小時四十公里。水泵的說明書在哪裡？在桌子的抽屜裡，鑰匙旁邊。如果伺服器不能連接資料庫，請檢查網路和密碼，然後查看記錄檔中的錯誤訊息。", 950),
        new("Korean", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다. 임대 계약의 기간은 열두 달이며 양쪽이 동의하면 연장할 수 있습니다. 열차의 속도는 선로의 상태에 따라 달라지며, 비가 온 뒤에는 반드시 줄여야 합니다. 펌프 설명서는 어디에 있습니까? 책상 서랍 안, 열쇠 옆에 있습니다.", 949),
        new("French", "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité. Le contrat est conclu pour une durée de douze mois ; il peut être renouvelé d'un commun accord. La vitesse du train dépend de l'état de la voie : après la pluie, le mécanicien la réduit à quarante kilomètres à l'heure. Où se trouve la notice de la pompe ? À côté des clés.", 1252),
        new("German", "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen. Der Mietvertrag läuft über zwölf Monate und verlängert sich, wenn beide Seiten zustimmen. Nach Regen fährt der Zug höchstens vierzig Kilometer in der Stunde. Die Anleitung für die Pumpe liegt im Büro, die Schlüssel hängen über der Tür, und die Straße ist gesperrt.", 1252),
        new("Spanish", "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben comportarse fraternalmente los unos con los otros. El contrato se firma por un período de doce meses y podrá renovarse según acuerden ambas partes. ¿Dónde están las instrucciones de la bomba? Están en el cajón, junto a las llaves del señor Núñez. Mañana lloverá y el tren irá más despacio.", 1252),
        new("Portuguese", "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de consciência, devem agir uns para com os outros em espírito de fraternidade. O contrato tem a duração de doze meses e pode ser renovado com a concordância das duas partes. A velocidade do comboio depende do estado da linha e não pode ultrapassar os quarenta quilómetros por hora depois da chuva. As instruções estão na gaveta.", 1252),
        new("Italian", "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di coscienza e devono agire gli uni verso gli altri in spirito di fratellanza. Il contratto è valido per dodici mesi e può essere rinnovato. La velocità del treno dipende dallo stato della linea, perché dopo la pioggia è più pericoloso. Le istruzioni della pompa sono là, nel cassetto.", 1252),
        new("Swedish", "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med förnuft och samvete och bör handla gentemot varandra i en anda av broderskap. Avtalet gäller i tolv månader och kan förlängas när båda parter är överens. Tågets hastighet beror på spårets skick och måste sänkas efter regn.", 1252),
        new("Danish", "Alle mennesker er født frie og lige i værdighed og rettigheder. De er udstyret med fornuft og samvittighed, og de bør handle mod hverandre i en broderskabets ånd. Aftalen gælder i tolv måneder og kan forlænges, når begge parter er enige. Togets hastighed afhænger af sporets tilstand og må sænkes efter regn.", 1252),
        new("Polish", "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa. Umowa zostaje zawarta na okres dwunastu miesięcy i może być przedłużona za zgodą obu stron. Prędkość pociągu zależy od stanu torów, a po deszczu maszynista musi ją zmniejszyć. Gdzie jest instrukcja pompy? Leży w szufladzie, obok kluczy.", 1250, 28592),
        new("Czech", "Všichni lidé se rodí svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem a svědomím a mají spolu jednat v duchu bratrství. Nájemní smlouva se uzavírá na dvanáct měsíců a po dohodě obou stran ji lze prodloužit. Rychlost vlaku závisí na stavu trati, po dešti ji musí strojvedoucí snížit. Kde je návod k čerpadlu? Leží v zásuvce vedle klíčů.", 1250, 28592),
        new("Hungarian", "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, ésszel és lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy viseltessenek. A bérleti szerződés tizenkét hónapra szól, és a felek beleegyezésével meghosszabbítható. A vonat sebessége a pálya állapotától függ, eső után csökkenteni kell.", 1250, 28592),
        new("Romanian", "Toate fiinţele umane se nasc libere şi egale în demnitate şi în drepturi. Ele sunt înzestrate cu raţiune şi conştiinţă şi trebuie să se comporte unele faţă de altele în spiritul fraternităţii. Contractul este valabil douăsprezece luni şi poate fi prelungit cu acordul ambelor părţi. Viteza trenului depinde de starea liniei.", 1250, 28592),
        new("Croatian", "Sva ljudska bića rađaju se slobodna i jednaka u dostojanstvu i pravima. Ona su obdarena razumom i sviješću i trebaju jedna prema drugima postupati u duhu bratstva. Ugovor vrijedi dvanaest mjeseci i može se produžiti uz pristanak obiju strana. Brzina vlaka ovisi o stanju pruge, a poslije kiše strojovođa je mora smanjiti.", 1250, 28592),
        new("Turkish", "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler. Kira sözleşmesi on iki ay için yapılır ve iki tarafın onayıyla uzatılabilir. Trenin hızı hattın durumuna bağlıdır; yağmurdan sonra hız düşürülmelidir. Pompanın kılavuzu çekmecede, anahtarların yanındadır.", 1254),
        new("Lithuanian", "Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis. Jiems suteiktas protas ir sąžinė, ir jie turi elgtis vienas kito atžvilgiu kaip broliai. Nuomos sutartis sudaroma dvylikai mėnesių ir gali būti pratęsta abiejų šalių sutarimu. Traukinio greitis priklauso nuo bėgių būklės.", 1257),
        new("Latvian", "Visi cilvēki piedzimst brīvi un vienlīdzīgi savā pašcieņā un tiesībās. Viņi ir apveltīti ar saprātu un sirdsapziņu, un viņiem jāizturas citam pret citu brālības garā. Īres līgums ir spēkā divpadsmit mēnešus, un to var pagarināt, ja abas puses vienojas.", 1257),
    ];

    /// <summary>A text of some size: sentences from a place on and around again, alone or among code and figures.</summary>
    /// <param name="sample">Whose sentences.</param>
    /// <param name="characters">UTF-16 units, about.</param>
    /// <param name="form">0 sentences, 1 a program's comments and strings, 2 a table.</param>
    /// <param name="start">Where to begin; any number.</param>
    public static string Make(Sample sample, int characters, int form, int start)
    {
        var words = sample.Text.Contains(' ') ? sample.Text.Split(' ') : [.. sample.Text.Chunk(8).Select(part => new string(part))];
        var text = new StringBuilder();
        for (var i = start; text.Length < characters; i += 4)
        {
            var part = string.Join(sample.Text.Contains(' ') ? " " : "", Enumerable.Range(i, 4).Select(at => words[at % words.Length]));
            text.Append(form switch
            {
                0 => part + (sample.Text.Contains(' ') ? " " : i % 20 == 0 ? "\n" : ""),
                1 => $"    // {part}\n    if (count > {i}) throw new Error(\"{part}\");\n",
                _ => $"{i};{part.Replace(';', ',')};{i * 37 % 1000}.50;EUR\r\n",
            });
        }

        return text.ToString();
    }

    /// <summary>How many texts were read as they were written, were refused, and were read wrongly.</summary>
    internal sealed record Outcome(int Right, int Refused, int Wrong)
    {
        public int Total => Right + Refused + Wrong;

        public Outcome With(bool? isRight) => isRight switch
        {
            true => this with { Right = Right + 1 },
            false => this with { Wrong = Wrong + 1 },
            null => this with { Refused = Refused + 1 },
        };
    }

    /// <summary>Every language in each of its encodings, in texts of 50 to 2,000 characters of three forms from ten places on.</summary>
    public static IEnumerable<(Sample Sample, int CodePage, int Characters, string Text, byte[] Bytes)> Fragments(int step)
    {
        var number = 0;
        foreach (var (sample, page) in All.SelectMany(sample => sample.CodePages.Select(page => (sample, page))))
        {
            var encoding = CodePagesEncodingProvider.Instance.GetEncoding(page)!;
            foreach (var characters in (int[])[50, 100, 200, 500, 2_000])
            {
                for (var turn = 0; turn < 30; turn++)
                {
                    if (number++ % step != 0)
                        continue;
                    var text = Make(sample, characters, turn % 3, turn / 3 * 7);
                    var bytes = encoding.GetBytes(text);
                    if (Array.Exists(bytes, value => value >= 0x80) || page == 50220)
                        yield return (sample, page, characters, text, bytes);
                }
            }
        }
    }

    /// <param name="step">Each how many-th of all fragments.</param>
    /// <param name="read">Null: refused.</param>
    public static Outcome Count(int step, Func<byte[], string?> read) =>
        Fragments(step).Aggregate(new Outcome(0, 0, 0), (outcome, fragment) => outcome.With(read(fragment.Bytes) is { } text ? text == fragment.Text : null));
}
